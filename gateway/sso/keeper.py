"""Sessions as one worker knows them: a session is read from the store once in a while, and recognised in between.

That a session has ended, here or elsewhere, is a mark: known to each worker within a second, and looked at with each
request.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from hashlib import sha256

from gateway.errors import GatewayError, Unavailable
from gateway.identity.refusals import Invalid
from gateway.model import Identity
from gateway.sso.renewal import Renewal
from gateway.sso.session import Session
from gateway.sso.sessions import RETRY_AFTER, Sessions
from gateway.sso.way import SessionEnded
from gateway.store import StoreError

log = logging.getLogger("gateway.sso")

LOOK = 30.0  # seconds between looks into the store, which also put a session's idle end off
AGAIN = 1.0  # seconds, where it is to be renewed and could not be yet
KNOWN = 20_000  # sessions remembered; one is about 3 KB


class Known:
    """A session that was found, its identity, and until when it need not be looked at."""

    __slots__ = ("identity", "provider", "session", "until", "version")

    def __init__(self, session: Session, identity: Identity, until: float, version: int) -> None:
        self.session = session
        self.provider = session.who.provider
        self.identity = identity
        self.until = until
        self.version = version


Answer = Known | Invalid | GatewayError
Done = Callable[[Answer], None]


class Keeper:
    """Of one configuration. `clock` in Unix seconds."""

    def __init__(self, sessions: Sessions, renewal: Renewal, clock: Callable[[], float] = time.time) -> None:
        self._sessions = sessions
        self._marks = sessions.marks
        self._renewal = renewal
        self._clock = clock
        self._pause = min(LOOK, sessions.idle / 4)
        self._known: dict[bytes, Known] = {}
        self._waiting: dict[bytes, list[Done]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def recall(self, secret: bytes) -> Known | None:
        """What is known of a session already; None: `look`."""
        key = sha256(secret).digest()
        known = self._known.get(key)
        if known is None or self._clock() >= known.until:
            return None
        if known.version != self._marks.version:
            if self._sessions.is_over(known.session):
                del self._known[key]
                return None
            known.version = self._marks.version
        return known

    def look(self, secret: bytes, done: Done) -> None:
        """`done` hears later what becomes of the session; all who ask meanwhile share one look."""
        key = sha256(secret).digest()
        waiting = self._waiting.get(key)
        if waiting is not None:
            waiting.append(done)
            return
        self._waiting[key] = [done]
        task = asyncio.get_running_loop().create_task(self._run(key, secret.decode()))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, key: bytes, secret: str) -> None:
        answer = await self._answer(key, secret)
        for done in self._waiting.pop(key):
            done(answer)

    async def _answer(self, key: bytes, secret: str) -> Answer:
        try:
            return await self._look(key, secret)
        except SessionEnded:
            self._known.pop(key, None)
            return Invalid("session_ended", "the session has ended")
        except StoreError:
            text = "sessions cannot be read at the moment"
            return Unavailable(text, code="sessions_unavailable", retry_after=RETRY_AFTER)
        except GatewayError as error:
            return error
        except Exception:  # whoever waits must be answered
            log.exception("a session could not be read")
            return GatewayError("the session could not be read")

    async def _look(self, key: bytes, secret: str) -> Known:
        version = self._marks.version  # before the store is asked: what is ended meanwhile is noticed
        session = await self._sessions.find(secret, used=True)
        if session is None:
            raise SessionEnded
        if self._renewal.is_due(session):
            session = await self._renewal.renew(secret, session)
        return self._remember(key, session, version)

    def _remember(self, key: bytes, session: Session, version: int) -> Known:
        now = self._clock()
        until = min(now + self._pause, session.ends)
        if self._renewal.is_due(session):
            until = now + AGAIN
        elif session.who.renew_at is not None:
            until = min(until, session.who.renew_at)
        before = self._known.pop(key, None)
        same = before is not None and before.session.raw == session.raw
        identity = before.identity if before is not None and same else session.who.identity(session.ends)
        if len(self._known) >= KNOWN:
            del self._known[next(iter(self._known))]
        known = self._known[key] = Known(session, identity, until, version)
        return known
