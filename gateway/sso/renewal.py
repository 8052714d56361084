"""A session asks its provider again before what was proven has expired: one refresh at a time over all gateways, so
that two tabs never spend one refresh token."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping

from gateway.errors import Unavailable
from gateway.sso.cookies import new_value
from gateway.sso.session import Session, SignedIn
from gateway.sso.sessions import Sessions
from gateway.sso.way import SessionEnded, Way
from gateway.store import StoreError
from gateway.store.records import Records

log = logging.getLogger("gateway.sso")

KIND = "renewal"  # of records: locks
LOCK = 20.0  # seconds: longer than all that is done under it
SAVING = 8.0  # seconds for which it is tried to keep what a spent token brought
PATIENCE = 8.0  # seconds to wait for another gateway's refresh
LOOK = 0.1  # seconds between looks at it
RETRY_AFTER = 2


class Renewal:
    """`clock` in Unix seconds."""

    def __init__(
        self,
        sessions: Sessions,
        records: Records,
        ways: Mapping[str, Way],
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._sessions = sessions
        self._records = records
        self._ways = ways
        self._clock = clock
        self._sleep = sleep

    def is_due(self, session: Session) -> bool:
        at = session.who.renew_at
        return at is not None and self._clock() >= at

    async def renew(self, secret: str, session: Session) -> Session:
        """The session as it holds now: renewed, here or elsewhere; or as it is, if that is good for a while yet. Raises
        SessionEnded, Unavailable or StoreError."""
        waited = 0.0
        while True:
            lock = new_value().encode()
            if await self._records.put(KIND, session.id, lock, LOCK, only_new=True):
                try:
                    return await self._alone(secret)
                except Unavailable:
                    if not self._holds(session):
                        raise
                    return session
                finally:
                    await self._unlock(session, lock)
            if self._holds(session):
                return session  # somebody is about it
            if waited >= PATIENCE:
                raise Unavailable("the session is being refreshed", code="session_busy", retry_after=RETRY_AFTER)
            await self._sleep(LOOK)
            waited += LOOK
            session = await self._found(secret)
            if not self.is_due(session):
                return session

    def _holds(self, session: Session) -> bool:
        until = session.who.good_until
        return until is None or self._clock() < until

    async def _found(self, secret: str) -> Session:
        session = await self._sessions.find(secret, used=False)
        if session is None:
            raise SessionEnded
        return session

    async def _alone(self, secret: str) -> Session:
        session = await self._found(secret)
        if not self.is_due(session):
            return session  # done while the lock was waited for
        way = self._ways.get(session.who.provider)
        if way is None:
            raise SessionEnded
        try:
            who = await way.renew(session)
        except SessionEnded:
            await self._sessions.end(session.id)
            log.info("identity %s: its session has ended", session.who.provider, extra={"session": session.id[:12]})
            raise
        return await self._save(secret, session, who)

    async def _save(self, secret: str, session: Session, who: SignedIn) -> Session:
        """The old token may be spent: what came for it must not be lost because the store stumbles."""
        deadline = self._clock() + SAVING
        while True:
            try:
                after = await self._sessions.replace(secret, session, who)
            except StoreError:
                if self._clock() >= deadline:
                    raise
                await self._sleep(LOOK)
                found = await self._written(secret, who)
                if found is not None:
                    return found
            else:
                return await self._found(secret) if after is None else after

    async def _written(self, secret: str, who: SignedIn) -> Session | None:
        """What was asked of the store may have been done though it did not say so."""
        try:
            found = await self._found(secret)
        except StoreError:
            return None
        return found if found.who.renew_at == who.renew_at else None

    async def _unlock(self, session: Session, lock: bytes) -> None:
        try:
            if await self._records.get(KIND, session.id) == lock:
                await self._records.drop(KIND, session.id)
        except StoreError:
            log.debug("a lock is left to end by itself")
