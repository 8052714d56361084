"""The parent process: sockets, signals, the workers, and the order of everything that is not traffic.

python -m gateway.begin gateway.supervisor CONFIG FOLDER     (a descriptor, and the folder that reloads read again)
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import signal
import socket
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gateway.control import Message, take_config
from gateway.model import Config
from gateway.process.background import background
from gateway.process.crew import Crew, Hooks, raise_first
from gateway.process.listeners import CannotListenError, address_of, bind, open_listeners
from gateway.process.reload import Reloaded, Reloader
from gateway.process.systemd import Notifier, inherited
from gateway.quota.page import page_file
from gateway.store import StoreError
from gateway.telemetry.log_writer import STDERR, LogWriter
from gateway.telemetry.logs import log_to
from gateway.workers import Worker, WorkerError

if TYPE_CHECKING:
    from gateway.desks import Desks
    from gateway.process.stores import StoreKeeper

log = logging.getLogger("gateway.supervisor")

STOPPING = 5.0  # seconds beyond the drain until a worker is killed


def main(config: str, folder: str) -> int:
    """Runs the gateway until SIGTERM or SIGINT; returns the exit code."""
    lines = LogWriter(STDERR)
    log_to(lines.write)
    try:
        asyncio.run(Supervisor(take_config(int(config)), Path(folder)).run())
    except (CannotListenError, StoreError, WorkerError) as error:
        log.error("not started: %s", error)
        return 1
    else:
        return 0
    finally:
        lines.close()


class Supervisor:
    """One life of the gateway: start everything or nothing, keep the workers alive, reload, stop in order."""

    def __init__(self, config: Config, folder: Path) -> None:
        self._config = config
        self._folder = folder
        self._stop = asyncio.Event()
        self._hurry = asyncio.Event()
        self._store: StoreKeeper | None = None
        self._desks: Desks | None = None
        self._early: list[tuple[Worker, Message]] = []  # what workers say before there are desks
        self._crew: Crew | None = None
        self._listeners: set[socket.socket] = set()
        self._notifier = Notifier()
        self._reloader = Reloader(folder, config, self._apply, self._count_reload)

    async def run(self) -> None:
        """Raises CannotListenError, StoreError or WorkerError; what had been started is then stopped."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._end)
        reloads = asyncio.Event()
        loop.add_signal_handler(signal.SIGHUP, self._hang_up, reloads, has_terminal())
        async with AsyncExitStack() as stack:
            await self._start(stack)
            background(stack, self._reload_on(reloads))
            gc.freeze()  # what lives from the start is not looked at again
            gc.enable()
            log.info("serving %s on %s, admin on %s", self._folder, self._addresses(), self._config.admin)
            self._notifier.tell("READY=1")
            await self._stop.wait()
            await self._leave()
        log.info("stopped")

    async def _start(self, stack: AsyncExitStack) -> None:
        """Starts the parts; `stack` stops them in the opposite order: the workers first, the store last."""
        addresses = [listener.address for listener in self._config.listen]
        shares = open_listeners(addresses, self._config.workers, inherited())
        self._listeners.update(sock for share in shares for sock in share)
        stack.callback(self._close_listeners)
        (admin,) = bind(self._config.admin)
        stack.callback(admin.close)
        self._crew = crew = Crew(self._config, shares, self._hooks())
        stack.push_async_callback(crew.stop, 0.0)  # of those that wait for a configuration in vain
        await crew.begin()  # from here on workers import what they need while we do
        from gateway.process.stores import StoreKeeper

        self._store = StoreKeeper()
        self._config = await self._store.start(stack, self._config)
        both = crew.start(self._config), self._open_desks(stack, admin)
        raise_first(await asyncio.gather(*both, return_exceptions=True))
        stack.push_async_callback(self._stop_crew)

    async def _open_desks(self, stack: AsyncExitStack, admin: socket.socket) -> None:
        await asyncio.sleep(0)  # the workers' configurations are on their way
        from gateway.desks import Desks

        assert self._store is not None
        desks = Desks(self._store, self._broadcast)
        await desks.start(stack, self._config)
        self._desks = desks
        for worker, message in self._early:
            desks.hear(worker, message)
        desks.serve(stack, admin, self._missing, self._metrics, self.reload)
        background(stack, self._notifier.keep_alive())

    def _addresses(self) -> str:
        return ", ".join(dict.fromkeys(str(address_of(sock)) for sock in self._listeners))

    # --- the end

    def _end(self) -> None:
        """A signal to stop; the second one does not wait for requests in flight."""
        if self._stop.is_set():
            log.warning("stopping at once")
            self._hurry.set()
            if self._crew is not None:
                self._crew.hurry()
        self._stop.set()

    def _hang_up(self, reloads: asyncio.Event, had_terminal: bool) -> None:
        """SIGHUP is a request to reload, unless it is its old meaning: the terminal was closed."""
        if had_terminal and not has_terminal():
            self._end()
        else:
            reloads.set()

    async def _leave(self) -> None:
        """Not ready any more, but serving for those who do not know yet."""
        drain = self._config.drain
        self._notifier.tell("STOPPING=1")
        log.info("stopping: %g s until no request is taken, then %g s for those in flight", drain.delay, drain.timeout)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._hurry.wait(), drain.delay)

    async def _stop_crew(self) -> None:
        assert self._crew is not None
        self._close_listeners()  # only workers have them now, which take who waits there
        await self._crew.stop(self._config.drain.timeout + STOPPING)

    def _close_listeners(self) -> None:
        for sock in self._listeners:
            sock.close()

    # --- another configuration

    async def reload(self) -> Reloaded:
        """Reads the files again, and serves what they say unless something is wrong with it."""
        self._notifier.reloading()
        try:
            return await self._reloader.reload()
        finally:
            self._notifier.tell("READY=1")

    async def _reload_on(self, signalled: asyncio.Event) -> None:
        while True:
            await signalled.wait()
            signalled.clear()
            await self.reload()

    async def _apply(self, config: Config) -> None:
        """Raises WorkerError, and nothing has changed."""
        if self._stop.is_set() or self._crew is None:
            raise WorkerError("the gateway is stopping")
        config = replace(config, store=self._config.store)  # the same, with the embedded one's URL
        await self._crew.reload(config)
        self._config = config
        assert self._desks is not None
        self._desks.take(config)

    # --- the admin listener

    async def _missing(self) -> list[str]:
        """What `/readyz` tells. Half of the workers are enough: who is replaced is missed by nobody."""
        if self._stop.is_set():
            return ["draining"]
        if self._crew is None or not self._crew.complete:
            return ["starting"]
        told = await self._crew.ask()
        if len(told) < (self._config.workers + 1) // 2:
            return [f"workers: {len(told)} of {self._config.workers} serve"]
        problems = list(dict.fromkeys(problem for answer in told for problem in answer["problems"]))
        store = None if self._store is None else self._store.problem
        return problems if store is None else [*problems, store]

    async def _metrics(self, accept: str) -> tuple[bytes, str]:
        assert self._crew is not None and self._desks is not None
        await self._crew.ask()
        return self._desks.metrics(accept)

    def _count_reload(self, outcome: str) -> None:
        if self._desks is not None:
            self._desks.registry.count_reload(outcome)

    # --- the workers

    def _hooks(self) -> Hooks:
        return Hooks(page=page_file, hear=self._hear, ended=self._ended, settle=self._settle)

    def _hear(self, worker: Worker, message: Message) -> None:
        if self._desks is None:
            self._early.append((worker, message))
        else:
            self._desks.hear(worker, message)

    def _ended(self, worker: Worker, replaced: bool) -> None:
        if self._desks is not None:
            self._desks.registry.worker_gone(str(worker.slot), restarted=replaced)

    async def _settle(self, worker: Worker) -> None:
        if self._store is None:
            os.close(worker.page)  # of one that has begun nothing
        else:
            await self._store.settle(worker)

    def _broadcast(self, row: list[Any]) -> None:
        """A mark that was set here, with `store: memory`."""
        for worker in self._crew.serving() if self._crew is not None else ():
            worker.tell("mark", row=row)


def has_terminal() -> bool:
    """Whether it was started from one, which is still open."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True
