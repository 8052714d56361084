"""The parent process: sockets, signals, the embedded store, the admin listener, alerts' delivery, and the worker.

The composition root of everything that is not traffic.

    python -m gateway.supervisor CONFIG FOLDER     (a descriptor, and the folder's name for the log)
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
from collections.abc import Coroutine, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2

from gateway.admin.app import admin_app
from gateway.admin.serve import serve_admin
from gateway.alerts.channels import Channel, LogChannel, WebhookChannel
from gateway.alerts.delivery import Deliverer
from gateway.alerts.outbox import MemoryOutbox, Outbox
from gateway.alerts.store_outbox import StoreOutbox
from gateway.control import Message, take_config
from gateway.model import Address, Alert, Config
from gateway.store import StoreError
from gateway.store.connection import connect
from gateway.store.embedded import EmbeddedStore
from gateway.store.vetting import Vetting
from gateway.telemetry.log_writer import STDERR, LogWriter
from gateway.telemetry.logs import log_to
from gateway.telemetry.registry import Registry
from gateway.workers import Worker, WorkerError

log = logging.getLogger("gateway.supervisor")

RESTART = 0.2  # seconds before a worker that ended is replaced; doubles up to
RESTART_MOST = 10.0
STORE_CHECK = 0.25  # seconds between looks at the embedded store
OUTBOX_PATIENCE = 5.0  # seconds for an answer of the store, which blocks while no alert is there
STEADY = 30.0  # seconds after which a worker counts as well started
STOPPING = 5.0  # seconds beyond the drain until a worker is killed


class StartError(Exception):
    """The gateway cannot start; the text says why and what would help."""


def run(config: Config, folder: Path) -> int:
    """Runs the gateway until SIGTERM or SIGINT; returns the exit code. `folder` is named in the log only."""
    lines = LogWriter(STDERR)
    log_to(lines.write)
    try:
        asyncio.run(Supervisor(config, folder).run())
    except StartError as error:
        log.error("not started: %s", error)
        return 1
    else:
        return 0
    finally:
        lines.close()


class Supervisor:
    """One life of the gateway: start everything or nothing, keep the worker alive, stop in order."""

    def __init__(self, config: Config, folder: Path) -> None:
        self._config = config
        self._folder = folder
        self._stop = asyncio.Event()
        self._registry = Registry()
        self._memory_outbox = MemoryOutbox()
        self._vetting: Vetting | None = None
        self._worker: Worker | None = None
        self._listeners: list[socket.socket] = []

    async def run(self) -> None:
        """Raises StartError; what had been started is then stopped."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        async with AsyncExitStack() as stack:
            await self._start(stack)
            log.info("serving %s on %s, admin on %s", self._folder, self._addresses(), self._config.admin)
            await self._stop.wait()
            log.info("stopping, with %g s for requests in flight", self._config.drain)
        log.info("stopped")

    async def _start(self, stack: AsyncExitStack) -> None:
        """Starts the parts; `stack` stops them in the opposite order: the worker first, the store last."""
        self._listeners = [bind(stack, address) for address in self._config.listen]
        admin = bind(stack, self._config.admin)
        self._config = await self._start_store(stack)
        background(stack, (await self._deliverer(stack)).run())
        background(stack, serve_admin(admin_app(self._missing, self._metrics), admin))
        try:
            await self._start_worker()
        except WorkerError as error:
            raise StartError(str(error)) from error
        keeping = asyncio.create_task(self._keep_worker())
        stack.push_async_callback(self._stop_worker, keeping)

    def _addresses(self) -> str:
        return ", ".join(map(str, self._config.listen))

    # --- the store

    async def _start_store(self, stack: AsyncExitStack) -> Config:
        """The configuration with the store's URL, after starting the embedded one."""
        config = self._config
        if config.store.kind == "url":
            await self._vet(stack, config)
        if config.store.kind != "embedded":
            return config
        embedded = EmbeddedStore(config.data)
        try:
            url = embedded.start()  # in this thread: the store ends with the thread that started it
        except StoreError as error:
            raise StartError(str(error)) from error
        stack.callback(embedded.stop)
        background(stack, keep_store(embedded))
        return replace(config, store=replace(config.store, url=url))

    async def _vet(self, stack: AsyncExitStack, config: Config) -> None:
        """Refuses a store that would lose counters. One that is away does not prevent the start."""
        redis = connect(config.store)
        stack.push_async_callback(redis.aclose)
        self._vetting = Vetting(redis)
        try:
            answered = await self._vetting.look()
        except StoreError as error:
            raise StartError(str(error)) from error
        if not answered:
            background(stack, self._vetting.look_on())

    # --- alerts

    async def _deliverer(self, stack: AsyncExitStack) -> Deliverer:
        client = await stack.enter_async_context(httpx2.AsyncClient(follow_redirects=False))
        config = self._config
        webhooks = {c.name: WebhookChannel(c.name, c.url, c.secret, client) for c in config.channels.values()}
        always: tuple[Channel, ...] = (LogChannel(logging.getLogger("gateway.alerts")),)

        def channels_of(plan: str) -> Sequence[Channel]:
            named = config.plans[plan].channels if plan in config.plans else ()
            return (*always, *(webhooks[name] for name in named))

        return Deliverer(
            self._outbox(stack), channels_of, logging.getLogger("gateway.alerts"), self._registry.count_alert
        )

    def _outbox(self, stack: AsyncExitStack) -> Outbox:
        config = self._config
        if config.store.kind == "memory":
            return self._memory_outbox
        redis = connect(config.store, patience=OUTBOX_PATIENCE)
        stack.push_async_callback(redis.aclose)
        return StoreOutbox(redis, config.store.prefix, f"{socket.gethostname()}:{config.listen[0]}")

    # --- the admin listener

    async def _missing(self) -> list[str]:
        """What `/readyz` tells."""
        if self._stop.is_set():
            return ["draining"]
        told = await self._worker.ask() if self._worker is not None else None
        if told is None:
            return ["worker: not serving"]
        self._hear({"kind": "metrics", "delta": told["delta"]})
        problems: list[str] = told["problems"]
        unfit = self._vetting.problem if self._vetting is not None else None
        return problems if unfit is None else [*problems, unfit]

    async def _metrics(self, accept: str) -> tuple[bytes, str]:
        told = await self._worker.ask() if self._worker is not None else None
        if told is not None:
            self._hear({"kind": "metrics", "delta": told["delta"]})
        return self._registry.render(accept)

    # --- the worker

    def _hear(self, message: Message) -> None:
        """What a worker says by itself."""
        match message["kind"]:
            case "metrics":
                self._registry.apply("0", message["delta"])
            case "alert":
                self._memory_outbox.push(Alert(**message["alert"]))

    async def _start_worker(self) -> None:
        self._worker = worker = Worker(self._config, self._listeners, self._hear)
        await worker.start()

    async def _keep_worker(self) -> None:
        """Replaces a worker that ends; faster at first than when it keeps ending."""
        pause = RESTART
        while True:
            assert self._worker is not None
            began = asyncio.get_running_loop().time()
            code = await self._worker.wait()
            steady = asyncio.get_running_loop().time() - began > STEADY
            pause = RESTART if steady else min(2 * pause, RESTART_MOST)
            log.error("the worker ended with code %s, another one starts", code)
            self._registry.worker_gone("0", restarted=True)
            await asyncio.sleep(pause)
            try:
                await self._start_worker()
            except WorkerError as error:
                log.error("the worker did not start: %s", error)

    async def _stop_worker(self, keeping: asyncio.Task[None]) -> None:
        keeping.cancel()
        if self._worker is not None:
            code = await self._worker.stop(self._config.drain + STOPPING)
            if code:
                log.error("the worker ended with code %s", code)


async def keep_store(embedded: EmbeddedStore) -> None:
    """Starts the embedded store again when it ends by itself; its data are kept."""
    while True:
        await asyncio.sleep(STORE_CHECK)
        if not embedded.alive:
            log.error("the embedded store ended, it is started again")
            try:
                embedded.start()
            except StoreError as error:
                log.error("%s", error)


def bind(stack: AsyncExitStack, address: Address) -> socket.socket:
    """A listening socket; raises StartError naming the address."""
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    try:
        sock = socket.create_server(tuple(address), family=family, backlog=4096)
        sock = socket.socket(fileno=sock.detach())  # now it knows that it is TCP, and asyncio sets TCP_NODELAY
    except OSError as error:
        raise StartError(f"cannot listen on {address}: {os.strerror(error.errno or 0)}") from error
    stack.callback(sock.close)
    return sock


def background(stack: AsyncExitStack, work: Coroutine[Any, Any, None]) -> None:
    """Runs `work` until the stack unwinds; its failure is logged at once."""
    task = asyncio.create_task(work)

    def ended(task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a background task failed", exc_info=error)

    async def end() -> None:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError, Exception):
            await task

    task.add_done_callback(ended)
    stack.push_async_callback(end)


if __name__ == "__main__":
    sys.exit(run(take_config(int(sys.argv[1])), Path(sys.argv[2])))
