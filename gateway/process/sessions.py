"""People's sessions as operators see and end them: read from the store, and a line in the log for each that ends."""

from __future__ import annotations

import logging
import re
from typing import Any, NamedTuple

from gateway.model import Config
from gateway.process.usage import NotKeptError
from gateway.quota.backup import written
from gateway.quota.owners import UnknownError
from gateway.sso.session import Summary, owner_by_subject
from gateway.sso.sessions import KIND, Sessions
from gateway.store.marks import Marks
from gateway.store.records import Records

log = logging.getLogger("gateway.audit")

MOST = 1_000  # sessions that are listed
LEAST = 8  # digits of an id that name a session
_id = re.compile(r"[0-9a-f]{8,64}").fullmatch


class SessionOrder(NamedTuple):
    """Which sessions: the one whose id begins so, or all of a subject, perhaps at one provider. `by` is who the
    operator says he is; the system knows him as `user`, at the address `peer`.
    """

    id: str | None = None
    subject: str | None = None
    provider: str | None = None
    by: str | None = None
    peer: str = ""
    user: str | None = None


class SessionDesk:
    """Of one gateway. What is asked raises StoreError, UnknownError and NotKeptError."""

    def __init__(self) -> None:
        self._sessions: Sessions | None = None
        self._records: Records | None = None
        self._config = Config()

    def start(self, records: Records, marks: Marks, config: Config) -> None:
        """With `store: memory` sessions are in the worker alone."""
        self._config = config
        if config.store.kind != "memory":
            self._records, self._sessions = records, Sessions(records, marks, config.sign_on)

    def take(self, config: Config) -> None:
        """Another configuration holds."""
        self._config = config

    async def listed(self, subject: str | None = None) -> tuple[list[dict[str, Any]], bool]:
        """Of everybody, or of a subject; the latest first. And whether there are more than are listed."""
        found = await (self._all() if subject is None else self._of(subject))
        rows = [_told(name, summary) for name, summary in sorted(found.items(), key=lambda of: -of[1].begun)]
        return rows[:MOST], len(rows) > MOST

    async def end(self, order: SessionOrder) -> list[dict[str, Any]]:
        """Those that ended."""
        if order.id is not None:
            found = await self._named(order.id)
        else:
            found = await self._of(order.subject or "", order.provider)
        if not found:
            raise UnknownError("there is no such session")
        sessions = self._open()
        ended = [_told(name, found[name]) for name in found if await sessions.end(name)]
        for row in ended:
            who = {"action": "sessions.end", "by": order.by, "user": order.user, "peer": order.peer}
            log.info("session ended", extra={**who, **{name: row[name] for name in ("id", "provider", "subject")}})
        return ended

    def _open(self) -> Sessions:
        if self._sessions is None:
            raise NotKeptError("with `store: memory` sessions are in the worker alone; use `embedded` or a server")
        return self._sessions

    async def _all(self) -> dict[str, Summary]:
        sessions, found = self._open(), {}
        async for name, summary in sessions.all():
            found[name] = summary
            if len(found) > MOST:
                break
        return found

    async def _of(self, subject: str, provider: str | None = None) -> dict[str, Summary]:
        sessions, found = self._open(), {}
        assert self._records is not None
        for known in (provider,) if provider else (*self._config.providers, *self._config.saml):
            for name in await self._records.listed(KIND, owner_by_subject(known, subject)):
                summary = await sessions.summary(name)
                if summary is not None:
                    found[name] = summary
        return found

    async def _named(self, beginning: str) -> dict[str, Summary]:
        if not _id(beginning):
            raise UnknownError(f"an id has at least {LEAST} hexadecimal digits, as the list shows them")
        if len(beginning) == 64:
            summary = await self._open().summary(beginning)
            return {} if summary is None else {beginning: summary}
        found = {name: summary async for name, summary in self._open().all() if name.startswith(beginning)}
        if len(found) > 1:
            raise UnknownError(f"{len(found)} sessions have ids that begin so; give more of it")
        return found


def _told(name: str, summary: Summary) -> dict[str, Any]:
    """For JSON, with times in RFC 3339."""
    return {
        "id": name,
        "provider": summary.provider,
        "subject": summary.subject,
        "sid": summary.sid,
        "began": written(summary.begun),
        "ends": written(summary.ends),
    }
