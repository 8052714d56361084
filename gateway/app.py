"""The composition root of a worker: the only place where its rooms meet. Run by the supervisor, imported by nobody.

python -m gateway.app CONTROL LISTENER…     (file descriptors)
"""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import socket
import sys
import time
from contextlib import AsyncExitStack
from typing import Any
from urllib.parse import quote

from gateway.control import Channel, receive_config
from gateway.gate import Gate, Ledger, Permits
from gateway.identity.passport import Passport
from gateway.model import Alert, Application, Config, Identity, Plan, Service
from gateway.proxy.exchange import Exchange
from gateway.proxy.pool import Pool
from gateway.proxy.server import Server
from gateway.quota.memory import MemoryLedger
from gateway.quota.store import StoreLedger
from gateway.routing.router import compile_permits, compile_router
from gateway.store.topology import topology
from gateway.telemetry.access_log import AccessLog
from gateway.telemetry.log_writer import STDERR, STDOUT, LogWriter
from gateway.telemetry.logs import log_to
from gateway.telemetry.metrics import Metrics

log = logging.getLogger("gateway.worker")

PUSH = 1.0  # seconds between metric deltas to the supervisor


def main(arguments: list[str]) -> int:
    """Runs a worker on inherited descriptors until its supervisor stops it; returns the exit code."""
    control = socket.socket(fileno=int(arguments[0]))
    listeners = [socket.socket(fileno=int(fd)) for fd in arguments[1:]]
    errors = LogWriter(STDERR)
    log_to(errors.write)
    try:
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            runner.run(Worker(receive_config(control)).run(control, listeners))
    finally:
        errors.close()
    return 0


def loop_factory() -> Any:
    """uvloop where it is installed."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop
    return uvloop.new_event_loop


class Worker:
    """Carries the traffic of one configuration."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._metrics = Metrics()
        self._stop = asyncio.Event()

    async def run(self, control: socket.socket, listeners: list[socket.socket]) -> None:
        """Serves until SIGTERM or the supervisor's end, then drains."""
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self._stop.set)
        async with AsyncExitStack() as stack:
            channel = await Channel.open(control)
            stack.push_async_callback(channel.close)
            server, access_log = await self._compose(stack, channel)
            for listener in listeners:
                await server.listen(listener)
            gc.collect()
            gc.freeze()  # what lives from the start is not looked at again
            gc.set_threshold(20_000, 50, 50)  # requests leave no cycles behind; looking for some costs them time
            channel.send("ready")
            listening = asyncio.create_task(self._listen(channel))
            await self._stop.wait()
            cut = await server.drain(self._config.drain)
            if cut:
                log.warning("stopped with %d connections still busy", cut)
            access_log.flush()
            channel.send("metrics", delta=self._metrics.drain())
            listening.cancel()

    async def _compose(self, stack: AsyncExitStack, channel: Channel) -> tuple[Server, AccessLog]:
        config = self._config
        self._passport = Passport(config.providers, config.applications.values())
        self._ledger = await self._make_ledger(stack, channel)
        stack.push_async_callback(self._passport.close)
        await self._passport.start()
        lines = LogWriter(STDOUT)
        stack.callback(lines.close)
        loop = asyncio.get_running_loop()
        access_log = AccessLog(lines.write, loop.call_later)
        pools = {service: Pool(service.upstream, loop) for service in config.services.values()}

        def record(exchange: Exchange) -> None:
            self._metrics.observe(exchange)
            access_log.log(exchange)

        server = Server(self._gate(), pools, record)
        self._metrics.watch(
            connections=lambda: len(server.connections),
            upstream_connections=lambda: connection_counts(pools),
            log_lines_dropped=lambda: lines.dropped,
        )
        return server, access_log

    async def _make_ledger(self, stack: AsyncExitStack, channel: Channel) -> Ledger:
        store = self._config.store
        if store.kind == "memory":

            def raised(alert: Alert) -> None:
                channel.send("alert", alert=alert._asdict())

            return MemoryLedger(time.time, raised)
        servers = topology(store)
        stack.push_async_callback(servers.close)
        ledger = StoreLedger(
            servers,
            prefix=store.prefix,
            timeout=store.timeout,
            fence=store.fence,
            durable=store.kind == "embedded",
            wait=store.replicas,
            on_call=self._metrics.ledger_call,
        )
        stack.push_async_callback(ledger.close)
        await ledger.start()
        return ledger

    def _gate(self) -> Gate:
        config = self._config
        router = compile_router(config.services.values())
        return Gate(config, router, self._passport, self._ledger, permits_of(config), identity_lines)

    async def _listen(self, channel: Channel) -> None:
        pushing = asyncio.create_task(self._push(channel))
        while (message := await channel.receive()) is not None:
            if message["kind"] == "ask":
                channel.send("told", id=message["id"], problems=self._problems(), delta=self._metrics.drain())
        pushing.cancel()
        self._stop.set()  # nobody is left to serve for

    async def _push(self, channel: Channel) -> None:
        while True:
            await asyncio.sleep(PUSH)
            channel.send("metrics", delta=self._metrics.drain())

    def _problems(self) -> list[str]:
        """What keeps the worker from serving well."""
        problems = self._passport.problems()
        if isinstance(self._ledger, StoreLedger) and self._ledger.down:
            problems.append("store: it does not answer")
        elif isinstance(self._ledger, StoreLedger) and self._ledger.fenced:
            problems.append("store: it may have lost data, and waits for what gateways remember")
        return problems


def permits_of(config: Config) -> dict[tuple[str, str], Permits]:
    """A matcher for each plan and service where the plan lists what it allows."""
    return {
        (plan.name, service): compile_permits(patterns)
        for plan in config.plans.values()
        for service, patterns in plan.allow.items()
    }


def identity_lines(application: Application, plan: Plan, identity: Identity) -> bytes:
    """The identity headers for the service; a subject is percent-encoded where it is not plain."""
    lines = [f"x-application-id: {application.name}", f"x-plan: {plan.name}"]
    if identity.subject:
        lines.append(f"x-subject: {quote(identity.subject, safe=SUBJECT_SAFE)}")
    return "".join(f"{line}\r\n" for line in lines).encode("ascii")


SUBJECT_SAFE = "!$&'()*+,/:;=@|{}[]<>^`\"?#"


def connection_counts(pools: dict[Service, Pool]) -> dict[tuple[str, str], int]:
    """Connections by (upstream, state)."""
    counts: dict[tuple[str, str], int] = {}
    for pool in pools.values():
        total, idle = pool.counts()
        counts[pool.upstream.name, "open"] = counts.get((pool.upstream.name, "open"), 0) + total
        counts[pool.upstream.name, "idle"] = counts.get((pool.upstream.name, "idle"), 0) + idle
    return counts


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
