"""The parent process: sockets, signals, the embedded store, the admin listener, alerts' delivery, and the workers.

The composition root of everything that is not traffic.

    python -m gateway.supervisor CONFIG FOLDER     (a descriptor, and the folder that reloads read again)
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from gateway.admin.alerts import alert_routes
from gateway.admin.app import admin_app
from gateway.admin.keys import key_routes
from gateway.admin.revocations import revocation_routes
from gateway.admin.serve import serve_admin
from gateway.admin.sessions import session_routes
from gateway.admin.suspensions import suspension_routes
from gateway.control import Message, take_config
from gateway.model import Alert, Config
from gateway.process.alerting import Alerting
from gateway.process.background import background
from gateway.process.crew import Crew, Hooks
from gateway.process.keys import KeyDesk
from gateway.process.listeners import CannotListenError, address_of, bind, open_listeners
from gateway.process.marks import MarksKeeper
from gateway.process.reload import Reloaded, Reloader
from gateway.process.revocations import RevocationDesk
from gateway.process.sessions import SessionDesk
from gateway.process.signing import SigningKeeper
from gateway.process.stores import StoreKeeper
from gateway.process.suspensions import SuspensionDesk
from gateway.process.systemd import Notifier, inherited
from gateway.process.usage import UsageDesk
from gateway.quota.page import page_file
from gateway.store import StoreError
from gateway.store.key_uses import KeyUses, MemoryKeyUses, key_uses
from gateway.telemetry.log_writer import STDERR, LogWriter
from gateway.telemetry.logs import log_to
from gateway.telemetry.registry import Registry
from gateway.workers import Worker, WorkerError

log = logging.getLogger("gateway.supervisor")

STOPPING = 5.0  # seconds beyond the drain until a worker is killed


def run(config: Config, folder: Path) -> int:
    """Runs the gateway until SIGTERM or SIGINT; returns the exit code."""
    lines = LogWriter(STDERR)
    log_to(lines.write)
    try:
        asyncio.run(Supervisor(config, folder).run())
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
        self._registry = Registry()
        self._alerting = Alerting(self._registry.count_alert, self._registry.count_attempt)
        self._store = StoreKeeper()
        self._usage = UsageDesk()
        self._marks = MarksKeeper(self._broadcast)
        self._signing = SigningKeeper()
        self._revocations = RevocationDesk()
        self._sessions = SessionDesk()
        self._uses: KeyUses = MemoryKeyUses()
        self._crew: Crew | None = None
        self._listeners: set[socket.socket] = set()
        self._notifier = Notifier()
        self._reloader = Reloader(folder, config, self._apply, self._registry.count_reload)

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
        self._config = await self._store.start(stack, self._config)
        await self._marks.start(stack, self._config)
        await self._alerting.start(stack, self._config, self._marks.records)
        self._usage.start(stack, self._config)
        suspensions = SuspensionDesk(self._marks.marks, self._usage)
        self._signing.start(stack, self._config, self._marks.records)
        more = [*alert_routes(self._alerting.desk), *suspension_routes(suspensions), *self._signing.routes()]
        more += revocation_routes(self._revocations)
        self._revocations.start(self._marks.marks, self._config)
        self._uses = key_uses(self._marks.lines, self._config.store.prefix)
        more += key_routes(KeyDesk(self._marks.marks, self._uses))
        self._sessions.start(self._marks.records, self._marks.marks, self._config)
        more += session_routes(self._sessions)
        pages = admin_app(self._missing, self._metrics, self.reload, self._usage, more, lambda: self._store.warnings)
        background(stack, serve_admin(pages, admin))
        background(stack, self._notifier.keep_alive())
        self._crew = Crew(self._config, shares, self._hooks())
        await self._crew.start()
        stack.push_async_callback(self._stop_crew)

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
        self._alerting.take(config)
        self._usage.take(config)
        self._signing.take(config)
        self._revocations.take(config)
        self._sessions.take(config)

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
        return problems if self._store.problem is None else [*problems, self._store.problem]

    async def _metrics(self, accept: str) -> tuple[bytes, str]:
        if self._crew is not None:
            await self._crew.ask()
        self._registry.backlog = self._alerting.backlog()
        return self._registry.render(accept)

    # --- the workers

    def _hooks(self) -> Hooks:
        def ended(worker: Worker, replaced: bool) -> None:
            self._registry.worker_gone(str(worker.slot), restarted=replaced)

        return Hooks(page=page_file, hear=self._hear, ended=ended, settle=self._store.settle)

    def _hear(self, worker: Worker, message: Message) -> None:
        """What a worker says by itself."""
        match message["kind"]:
            case "metrics":
                self._registry.apply(str(worker.slot), message["delta"])
            case "alert":
                self._alerting.push(Alert(**message["alert"]))
            case "refused":
                self._alerting.refused(message["counts"])
            case "mark":
                self._marks.hear(message["row"])
            case "used" if isinstance(self._uses, MemoryKeyUses):
                self._uses.hear(message["uses"])

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


if __name__ == "__main__":
    sys.exit(run(take_config(int(sys.argv[1])), Path(sys.argv[2])))
