"""`/sessions` on the admin listener: who is signed in, and ending that."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.admin.pages import page
from gateway.admin.usage import OrderError, answered, asker, members_of
from gateway.process.sessions import SessionDesk, SessionOrder

NAMES = ("id", "subject", "provider", "by")
TEXT = 255  # characters


def session_routes(desk: SessionDesk) -> list[Route]:
    """For programs on this machine alone, as with `/usage`."""

    async def show(request: Request) -> Response:
        strange = request.query_params.keys() - {"subject"}
        if strange:
            raise OrderError(f"there is no parameter '{min(strange)}' (subject)")
        rows, more = await desk.listed(request.query_params.get("subject"))
        return page({"sessions": rows, "more": more})

    async def end(request: Request) -> Response:
        return page({"ended": await desk.end(_order(await members_of(request, NAMES), request))})

    return [
        Route("/sessions", answered(show), methods=["GET"]),
        Route("/sessions/end", answered(end), methods=["POST"]),
    ]


def _order(members: dict[str, Any], request: Request) -> SessionOrder:
    """Raises OrderError."""
    for name, value in members.items():
        if not isinstance(value, str) or not 0 < len(value) <= TEXT or not value.isprintable():
            raise OrderError(f"'{name}' is not a text of 1 to {TEXT} characters")
    if ("id" in members) == ("subject" in members):
        raise OrderError("say which: an id, or a subject")
    if "id" in members and "provider" in members:
        raise OrderError("'provider' is for a subject")
    peer, user = asker(request)
    return SessionOrder(**members, peer=peer, user=user)
