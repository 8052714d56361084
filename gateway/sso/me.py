"""Who am I: what front ends may know of the session of their person."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gateway.errors import Unauthorized
from gateway.model import Identity
from gateway.sso.browser import PREFIX
from gateway.sso.desk import secret_of
from gateway.sso.session import Session
from gateway.sso.sessions import Sessions

TOLD = (
    "name",
    "given_name",
    "family_name",
    "preferred_username",
    "email",
    "email_verified",
    "picture",
    "locale",
    "acr",
)


# Of an identity, its provider, the host and the client's address: what holds at each service. Raises Unavailable.
Limits = Callable[[Identity, str, str, str], Awaitable[dict[str, Any]]]


async def no_limits(_identity: Identity, _provider: str, _host: str, _peer: str) -> dict[str, Any]:
    """Nobody counts."""
    return {}


def me(sessions: Sessions, limits: Limits) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        secret = secret_of(request)
        session = None if secret is None else await sessions.find(secret, used=False)
        if session is None:
            raise Unauthorized("nobody is signed in", code="session_ended", challenges=('SignIn realm="gateway"',))
        who, host = session.who.identity(session.ends), request.url.hostname or ""
        peer = "" if request.client is None else request.client.host
        return JSONResponse({**told(session), "services": await limits(who, session.who.provider, host, peer)})

    return endpoint


def told(session: Session) -> dict[str, Any]:
    """Of the claims those that say who somebody is."""
    who = session.who
    return {
        "subject": who.subject,
        "provider": who.provider,
        "client": who.client_id,
        "claims": {name: who.claims[name] for name in TOLD if name in who.claims},
        "roles": list(who.roles),
        "groups": list(who.groups),
        "began": _date(session.begun),
        "ends": _date(session.ends),
        "sign_out": f"{PREFIX}/logout",
    }


def _date(seconds: float) -> str:
    return datetime.fromtimestamp(int(seconds), UTC).isoformat()
