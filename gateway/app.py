"""The composition root of a worker: the only place where its rooms meet. Run by the supervisor, imported by nobody.

python -m gateway.begin gateway.app CONTROL PAGE SLOT OWN SPARE     (file descriptors, but for its place among the
workers; the last two are lists of listening sockets', each with the place of its listener: 3:0,4:1)
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import socket
import time
from contextlib import AsyncExitStack
from typing import Any

from gateway.control import Channel, Message, receive_config
from gateway.gate import Ledger
from gateway.http.client_certificate import READERS
from gateway.model import Alert, Config, every_limit
from gateway.proxy.descriptors import fitting
from gateway.proxy.exchange import Exchange
from gateway.proxy.memory import MemoryWatch
from gateway.proxy.server import Server
from gateway.quota.local.fallback import Fallback
from gateway.quota.local.shares import LocalShares
from gateway.quota.memory import MemoryLedger
from gateway.quota.page import Page
from gateway.quota.store import StoreLedger
from gateway.quota.suspensions import SUSPENDED
from gateway.site import build_site, connection_counts
from gateway.staging import Staging
from gateway.starting import count_refusals, loop_factory, make_turns, numbers, tell_key_uses
from gateway.store.marks import Mark, Row
from gateway.store.shared import Shared, share
from gateway.store.topology import Topology, topology
from gateway.telemetry.access_log import AccessLog
from gateway.telemetry.log_writer import STDERR, STDOUT, LogWriter
from gateway.telemetry.logs import log_to
from gateway.telemetry.metrics import Metrics

log = logging.getLogger("gateway.worker")

DOUBT = 60.0  # seconds by which this machine's clock may be behind the store's
PUSH = 1.0  # seconds between metric deltas to the supervisor


def main(control: str, page: str, slot: str, own: str, spare: str) -> int:
    """Runs a worker on inherited descriptors until its supervisor stops it; returns the exit code."""
    channel = socket.socket(fileno=int(control))
    errors = LogWriter(STDERR)
    log_to(errors.write)
    try:
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            worker = Worker(receive_config(channel), int(page), int(slot), numbers(own), numbers(spare))
            runner.run(worker.run(channel))
    except Exception:
        log.exception("the worker cannot go on")
        return 1
    else:
        return 0
    finally:
        errors.close()


class Worker:
    """Carries traffic. `own` are its sockets, `spare` those of others, which it serves when it is asked to.

    `slot` is its place among the workers, from 0, and its successor's too.
    """

    def __init__(self, config: Config, page: int, slot: int, own: dict[int, int], spare: dict[int, int]) -> None:
        self._config = config
        self._page = page
        self._slot = slot
        self._own = own
        self._spare = spare
        self._adopted: dict[int, socket.socket] = {}
        self._metrics = Metrics()
        self._fallback = Fallback(self._metrics.down_admission)
        self._stop = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self, control: socket.socket) -> None:
        """Serves until SIGTERM or the supervisor's end, then drains."""
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self._stop.set)
        async with AsyncExitStack() as stack:
            self._channel = await Channel.open(control)
            stack.push_async_callback(self._channel.close)
            access_log = await self._compose(stack)
            for fd, listener in self._own.items():
                await self._server.listen(socket.socket(fileno=fd), listener)
            gc.freeze()  # what lives from the start is not looked at again
            gc.enable()
            gc.set_threshold(20_000, 10, 10)  # requests leave it nothing; looking costs time
            self._channel.send("ready")
            listening = asyncio.create_task(self._listen())
            await self._stop.wait()
            await self._drain()
            access_log.flush()
            self._channel.send("metrics", delta=self._metrics.drain())
            for task in (listening, *self._tasks):
                task.cancel()

    async def _drain(self) -> None:
        for fd in self._spare:
            os.close(fd)  # nobody waits in vain in a socket that only this descriptor keeps open
        timeout = self._staging.site.config.drain.timeout
        self._turns.drain(timeout)
        cut = await self._server.drain(timeout)
        if cut:
            log.warning("stopped with %d connections still busy", cut)

    # --- the rooms

    async def _compose(self, stack: AsyncExitStack) -> AccessLog:
        loop = asyncio.get_running_loop()
        servers = self._find_store(stack)
        self._ledger = await self._make_ledger(stack, servers)
        self._shared = await self._share(stack, servers)
        refusals = count_refusals(stack, self._shared, self._config.store.prefix, self._channel)
        self._turns, called = make_turns(self._ledger, self._metrics.wait_ended), self._metrics.provider_call
        site = build_site(self._config, self._ledger, self._shared, refusals, loop, on_call=called, turns=self._turns)
        self._staging = Staging(site, self._ledger, self._shared, refusals, called, self._turns)
        self._shared.marks.watch(self._marked)
        stack.push_async_callback(self._staging.close)
        tell_key_uses(stack, self._shared, self._config.store.prefix, self._channel, self._staging.take_key_uses)
        await site.passport.start()
        lines = LogWriter(STDOUT)
        stack.callback(lines.close)
        access_log = AccessLog(lines.write, loop.call_later)

        def record(exchange: Exchange) -> None:
            self._metrics.observe(exchange)
            access_log.log(exchange)

        self._server = server = Server(site.gate, site.pools, record, pages=site.pages, onward=site.onward)
        self._bound()
        self._metrics.watch(
            connections=lambda: len(server.connections),
            tasks=lambda: len(asyncio.all_tasks()),
            upstream_connections=lambda: connection_counts(self._staging.site.pools),
            log_lines_dropped=lambda: lines.dropped,
            refused_connections=server.refused_connections,
            waiting=lambda: self._turns.waiting,
        )
        return access_log

    def _marked(self, kind: str, name: str, mark: Mark | None) -> None:
        if kind == SUSPENDED:
            self._staging.site.gate.heard(name, resumed=mark is None)

    def _bound(self) -> None:
        """What clients may take, by the configuration that holds."""
        site = self._staging.site
        config = site.config
        told = None if config.client_certificate is None else READERS[config.client_certificate]
        self._turns.places = config.limits.waiting
        self._server.receive(site.terms, config.trusted_proxies, told)
        self._server.bound(fitting(config.limits), config.timeouts, MemoryWatch(config.limits.memory).is_high)

    def _find_store(self, stack: AsyncExitStack) -> Topology | None:
        """None for `store: memory`."""
        if self._config.store.kind == "memory":
            return None
        servers = topology(self._config.store)
        stack.push_async_callback(servers.close)
        return servers

    async def _share(self, stack: AsyncExitStack, servers: Topology | None) -> Shared:
        def tell(row: Row) -> None:
            self._channel.send("mark", row=row)

        return await share(stack, self._config.store, servers, self._config.data, tell)

    async def _make_ledger(self, stack: AsyncExitStack, servers: Topology | None) -> Ledger:
        store = self._config.store
        if servers is None:

            def raised(alert: Alert) -> None:
                self._channel.send("alert", alert=alert._asdict())

            return MemoryLedger(time.time, raised)
        stack.callback(self._fallback.close)
        ledger = StoreLedger(
            servers,
            prefix=store.prefix,
            timeout=store.timeout,
            fence=store.fence,
            durable=store.kind == "embedded",
            wait=store.replicas,
            page=Page(self._page),
            fallback=self._fallback,
            on_call=self._metrics.ledger_call,
        )
        stack.push_async_callback(ledger.close)
        await ledger.start()
        self._fallback.shares = self._shares(self._config, ledger)
        return ledger

    def _shares(self, config: Config, ledger: StoreLedger) -> LocalShares:
        """What this worker may spend by itself while the store is away."""
        limits = every_limit(config)
        folder = config.data / "local"
        now = ledger.clock.latest() or time.time() + DOUBT
        return LocalShares(folder, limits, worker=self._slot, workers=config.workers, now=now)

    # --- the supervisor

    async def _listen(self) -> None:
        self._start(self._push())
        while (message := await self._channel.receive()) is not None:
            try:
                await self._hear(message)
            except Exception:  # the supervisor misses the answer and replaces this worker
                log.exception("what the supervisor asks cannot be done: %s", message["kind"])
        self._stop.set()  # nobody is left to serve for

    async def _hear(self, message: Message) -> None:
        match message["kind"]:
            case "ask":
                self._channel.send("metrics", delta=self._metrics.drain())
                self._channel.send("told", id=message["id"], problems=self._problems())
            case "prepare":
                self._start(self._prepare(message["id"], message["data"]))
            case "commit":
                self._commit()
                self._channel.send("told", id=message["id"])
            case "adopt" if not self._stop.is_set():
                await self._adopt(message["sockets"])
            case "release":
                self._release(message["sockets"])
            case "mark":
                self._shared.marks.apply([Row(*message["row"])])
            case "hurry":
                self._server.hurry()

    def _start(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _push(self) -> None:
        while True:
            await asyncio.sleep(PUSH)
            self._channel.send("metrics", delta=self._metrics.drain())

    def _problems(self) -> list[str]:
        """What keeps the worker from serving well."""
        problems = self._staging.site.passport.problems()
        if isinstance(self._ledger, StoreLedger) and self._ledger.down:
            problems.append("store: it does not answer")
        elif isinstance(self._ledger, StoreLedger) and self._ledger.fenced:
            problems.append("store: it may have lost data, and waits for what gateways remember")
        if not self._shared.marks.known:
            problems.append("store: it has not told yet what was revoked")
        return problems

    async def _adopt(self, sockets: list[int]) -> None:
        for fd in set(sockets) & self._spare.keys() - self._adopted.keys():
            self._adopted[fd] = sock = socket.socket(fileno=os.dup(fd))
            await self._server.listen(sock, self._spare[fd])

    def _release(self, sockets: list[int]) -> None:
        for fd in set(sockets) & self._adopted.keys():
            self._server.leave(self._adopted.pop(fd))

    # --- another configuration

    async def _prepare(self, question: int, data: bytes) -> None:
        """Tells what was wrong with it."""
        problem = None
        try:
            await self._staging.prepare(data)
        except Exception as error:
            log.exception("a configuration could not be made ready")
            problem = f"{type(error).__name__}: {error}"
        self._channel.send("told", id=question, problem=problem)

    def _commit(self) -> None:
        """The next request meets what was made ready."""
        site = self._staging.commit()
        self._server.swap(site.gate, site.pools, site.pages, site.onward)
        if isinstance(self._ledger, StoreLedger):
            self._fallback.close()
            self._fallback.shares = self._shares(site.config, self._ledger)
        self._bound()
