"""What the ways of signing in have in common: sign-ons under way, and the session at their end."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from gateway.identity.revocations import SESSION, named
from gateway.sso import cookies
from gateway.sso.logins import Login, Logins
from gateway.sso.pages import Look
from gateway.sso.session import SignedIn
from gateway.sso.sessions import Sessions
from gateway.store.records import Records

log = logging.getLogger("gateway.sso")

TOKENS_LIVE = 86_400.0  # seconds: longer than any access token should


class Desk:
    """Methods raise StoreError."""

    def __init__(
        self, records: Records, sessions: Sessions, look: Look, clock: Callable[[], float] = time.time
    ) -> None:
        """`clock` in Unix seconds."""
        self.records = records
        self.look = look
        self._clock = clock
        self.logins = Logins(records)
        self._sessions = sessions

    async def enter(self, request: Request, login: Login, who: SignedIn) -> Response:
        """A new session under a new cookie, and on to where the person wanted to go."""
        secret = secret_of(request)
        begun = await self._sessions.begin(who, replaces=secret)
        response = RedirectResponse(login.target, 303)
        name = cookies.session_name(login.origin)
        response.headers.append("set-cookie", cookies.written(login.origin, name, begun.secret))
        over = cookies.removed(login.origin, cookies.login_name(login.origin, login.state))
        response.headers.append("set-cookie", over)
        extra = {"provider": who.provider, "session": begun.session.id[:12]}
        log.info("identity %s: signed in: %s", who.provider, who.subject, extra=extra)
        return response

    async def end(
        self,
        provider: str,
        *,
        issuer: str | None = None,
        sid: str | None = None,
        subject: str | None = None,
        begun_by: float = math.inf,
    ) -> int:
        """Ends what a provider's logout names; how many sessions there were. Tokens of its session are no good either,
        so far as they name it."""
        if sid is not None and issuer is not None:
            until = self._clock() + TOKENS_LIVE
            await self._sessions.marks.set(SESSION, named(issuer, sid), until=until)
        return await self._sessions.end_of(provider, sid=sid, subject=subject, begun_by=begun_by)

    async def has(self, provider: str, sid: str) -> bool:
        """Whether a session here is of this one of the provider's."""
        return await self._sessions.has(provider, sid)

    @staticmethod
    def origin_of(url: str) -> str:
        parts = urlsplit(url)
        return f"{parts.scheme}://{parts.netloc}"


def secret_of(request: Request) -> str | None:
    """The value of the session's cookie; None where there is none, or more than one."""
    found = cookies.read(request.state.own_cookies, cookies.session_name(request.state.origin))
    return found[0] if len(found) == 1 else None
