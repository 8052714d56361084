"""Sessions on the server: begun, found, renewed and ended, in records that all gateways share."""

from __future__ import annotations

import math
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from gateway.errors import Unavailable
from gateway.identity.revocations import revoked
from gateway.model import SignOn
from gateway.sso.cookies import digest, new_value
from gateway.sso.session import (
    Session,
    SignedIn,
    Summary,
    owner_by_sid,
    owner_by_subject,
    pack,
    summary_of,
    unpack,
)
from gateway.store import StoreError
from gateway.store.marks import Marks
from gateway.store.records import Records

KIND = "session"  # of records; a mark of this kind says that a session has ended
RETRY_AFTER = 2  # seconds


class Begun(NamedTuple):
    """A new session, and the value of its cookie."""

    secret: str
    session: Session


@contextmanager
def store_away() -> Iterator[None]:
    """A store that cannot be asked says nothing of a session: 503, and never a logout."""
    try:
        yield
    except StoreError as error:
        text = "sessions cannot be read at the moment"
        raise Unavailable(text, code="sessions_unavailable", retry_after=RETRY_AFTER) from error


class Sessions:
    """Methods raise StoreError."""

    def __init__(self, records: Records, marks: Marks, rules: SignOn, clock: Callable[[], float] = time.time) -> None:
        """`clock` in Unix seconds."""
        self.marks = marks
        self.idle = rules.idle
        self._records = records
        self._life = rules.life
        self._clock = clock

    async def begin(self, who: SignedIn, replaces: str | None = None) -> Begun:
        """A session of its own cookie, whatever the browser had before: the one of the cookie `replaces` ends."""
        if replaces is not None:
            await self.end(digest(replaces))
        now = self._clock()
        secret = new_value()
        session = pack(secret, digest(secret), who, now, min(who.ends, now + self._life))
        for owner in Summary(who.provider, who.subject, who.sid, now, session.ends).owners:
            await self._records.index(KIND, owner, session.id, max(1.0, session.ends - now))
        await self._records.put(KIND, session.id, session.raw, self._seconds(session))
        return Begun(secret, session)

    async def find(self, secret: str, *, used: bool) -> Session | None:
        """The session of a cookie; `used` puts its idle end off. None: there is none (any more)."""
        name = digest(secret)
        raw = await self._records.get(KIND, name)
        session = None if raw is None else unpack(secret, name, raw)
        if session is None or session.ends <= self._clock() or self.is_over(session):
            return None
        if used:
            await self._records.swap(KIND, name, session.raw, session.raw, self._seconds(session))
        return session

    def is_over(self, session: Session) -> bool:
        """Whether it was ended, here or elsewhere, or all that its person was given by then was revoked, so far as is
        known here: within a second. What is refreshed counts as given when the session began."""
        if self.marks.get(KIND, session.id) is not None:
            return True
        who = session.who
        claims: dict[str, Any] = {"sub": who.subject, "iss": who.issuer, "azp": who.client_id or ""}
        claims |= {"iat": session.begun} if who.sid is None else {"iat": session.begun, "sid": who.sid}
        return revoked(self.marks, claims)

    async def replace(self, secret: str, session: Session, who: SignedIn) -> Session | None:
        """The session with what was proven anew; None where it has ended, or was replaced, meanwhile."""
        after = pack(secret, session.id, who, session.begun, session.ends)
        done = await self._records.swap(KIND, session.id, session.raw, after.raw, self._seconds(after))
        return after if done else None

    async def end(self, name: str) -> bool:
        """Whether there was one."""
        raw = await self._records.get(KIND, name)
        summary = None if raw is None else summary_of(raw)
        if summary is None:
            return False
        await self.marks.set(KIND, name, until=summary.ends)  # first: then no worker takes it up again
        await self._records.drop(KIND, name)
        for owner in summary.owners:
            await self._records.unindex(KIND, owner, name)
        return True

    async def has(self, provider: str, sid: str) -> bool:
        """Whether any was begun in this session of the provider's."""
        return bool(await self._records.listed(KIND, owner_by_sid(provider, sid)))

    async def end_of(
        self, provider: str, *, sid: str | None = None, subject: str | None = None, begun_by: float = math.inf
    ) -> int:
        """Ends those of a provider's session, of a subject, or of both together, if they had begun by then; how many
        there were."""
        owner = owner_by_sid(provider, sid) if sid is not None else owner_by_subject(provider, subject or "")
        ended = 0
        for name in await self._records.listed(KIND, owner):
            summary = await self.summary(name)
            if summary is not None and subject in (None, summary.subject) and summary.begun <= begun_by:
                ended += await self.end(name)
        return ended

    async def summary(self, name: str) -> Summary | None:
        """What may be told of a session."""
        raw = await self._records.get(KIND, name)
        return None if raw is None else summary_of(raw)

    async def all(self) -> AsyncIterator[tuple[str, Summary]]:
        """All that are open, by id."""
        async for name in self._records.scan(KIND):
            summary = await self.summary(name)
            if summary is not None:
                yield name, summary

    def _seconds(self, session: Session) -> float:
        return max(1.0, min(self.idle, session.ends - self._clock()))
