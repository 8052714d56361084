"""What the supervisor does besides keeping workers and store: marks, alerts, usage, sessions, keys, and their pages.

Imported while the workers start, which import what they need at the same time.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any

from starlette.routing import Route

from gateway.admin.alerts import alert_routes
from gateway.admin.app import Metrics, Ready, Reload, admin_app
from gateway.admin.configuration import configuration_routes
from gateway.admin.keys import key_routes
from gateway.admin.revocations import revocation_routes
from gateway.admin.serve import serve_admin
from gateway.admin.sessions import session_routes
from gateway.admin.suspensions import suspension_routes
from gateway.control import Message
from gateway.model import Alert, Config
from gateway.process.alerting import Alerting
from gateway.process.background import background
from gateway.process.keys import KeyDesk
from gateway.process.marks import MarksKeeper
from gateway.process.revocations import RevocationDesk
from gateway.process.sessions import SessionDesk
from gateway.process.signing import SigningKeeper
from gateway.process.stores import StoreKeeper
from gateway.process.suspensions import SuspensionDesk
from gateway.process.usage import UsageDesk
from gateway.store.key_uses import KeyUses, MemoryKeyUses, key_uses
from gateway.telemetry.registry import Registry
from gateway.workers import Worker


class Desks:
    """`broadcast` tells all workers a mark that was set here, with `store: memory`."""

    def __init__(self, store: StoreKeeper, broadcast: Callable[[list[Any]], None]) -> None:
        self.registry = Registry()
        self._store = store
        self._alerting = Alerting(self.registry.count_alert, self.registry.count_attempt)
        self._usage = UsageDesk()
        self._marks = MarksKeeper(broadcast)
        self._signing = SigningKeeper()
        self._revocations = RevocationDesk()
        self._sessions = SessionDesk()
        self._uses: KeyUses = MemoryKeyUses()

    async def start(self, stack: AsyncExitStack, config: Config) -> None:
        """Opens them until the stack unwinds. `config` has the store's URL."""
        await self._marks.start(stack, config)
        await self._alerting.start(stack, config, self._marks.records)
        self._usage.start(stack, config)
        self._signing.start(stack, config, self._marks.records)
        self._revocations.start(self._marks.marks, config)
        self._uses = key_uses(self._marks.lines, config.store.prefix)
        self._sessions.start(self._marks.records, self._marks.marks, config)

    def serve(
        self, stack: AsyncExitStack, sock: socket.socket, missing: Ready, metrics: Metrics, reload: Reload
    ) -> None:
        """The admin listener, until the stack unwinds."""
        pages = admin_app(missing, metrics, reload, self._usage, self._routes(), lambda: self._store.warnings)
        background(stack, serve_admin(pages, sock))

    def _routes(self) -> list[Route]:
        return [
            *alert_routes(self._alerting.desk),
            *suspension_routes(SuspensionDesk(self._marks.marks, self._usage)),
            *self._signing.routes(),
            *revocation_routes(self._revocations),
            *configuration_routes(lambda: self._usage.config),
            *key_routes(KeyDesk(self._marks.marks, self._uses)),
            *session_routes(self._sessions),
        ]

    def take(self, config: Config) -> None:
        """The configuration that holds from now on."""
        self._alerting.take(config)
        self._usage.take(config)
        self._signing.take(config)
        self._revocations.take(config)
        self._sessions.take(config)

    def hear(self, worker: Worker, message: Message) -> None:
        """What a worker says by itself."""
        match message["kind"]:
            case "metrics":
                self.registry.apply(str(worker.slot), message["delta"])
            case "alert":
                self._alerting.push(Alert(**message["alert"]))
            case "refused":
                self._alerting.refused(message["counts"])
            case "mark":
                self._marks.hear(message["row"])
            case "used" if isinstance(self._uses, MemoryKeyUses):
                self._uses.hear(message["uses"])

    def metrics(self, accept: str) -> tuple[bytes, str]:
        """What a scraper accepts."""
        self.registry.backlog = self._alerting.backlog()
        return self.registry.render(accept)
