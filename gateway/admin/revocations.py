"""`/revocations` on the admin listener, for programs on this machine: what was revoked, more of it, taking it back."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.admin.alerts import fields
from gateway.admin.pages import Answers, guarded, page
from gateway.identity.refusals import InvalidToken
from gateway.identity.token import TOKEN_BYTES
from gateway.model import Address
from gateway.process.peers import user_of
from gateway.process.revocations import Operator, Order, RevocationDesk, UnknownError
from gateway.store import StoreError

ANSWERS: Answers = {
    UnknownError: (HTTPStatus.NOT_FOUND, "unknown"),
    ValueError: (HTTPStatus.BAD_REQUEST, "bad_request"),
    InvalidToken: (HTTPStatus.BAD_REQUEST, "token_malformed"),
    StoreError: (HTTPStatus.SERVICE_UNAVAILABLE, "store_down"),
}
NAMES = ("jti", "session", "user", "client", "token")  # and `realm: true`: one of them
MORE = ("provider", "before", "seconds", "reason", "by")
TEXT = 255  # characters of a name or reason
LONGEST = 3650 * 86_400.0  # seconds of a revocation


def revocation_routes(desk: RevocationDesk) -> list[Route]:
    """All of them, over one desk."""

    async def listed(_: Request) -> Response:
        return page({"revocations": await desk.listed()})

    async def revoked(request: Request) -> Response:
        said = await fields(request)
        return page(await desk.revoke(order(said), operator(request, said.get("by"))))

    async def restored(request: Request) -> Response:
        by = request.query_params.get("by")
        return page(await desk.restore(request.path_params["id"], operator(request, by)))

    return [
        Route("/revocations", guarded(listed, ANSWERS)),
        Route("/revocations", guarded(revoked, ANSWERS), methods=["POST"]),
        Route("/revocations/{id}", guarded(restored, ANSWERS), methods=["DELETE"]),
    ]


def operator(request: Request, by: Any) -> Operator:
    assert request.client is not None  # see from_here
    host, port = request.client
    return Operator(text("by", by) if by is not None else None, str(Address(host, port)), user_of(host, port))


def order(said: dict[str, Any]) -> Order:
    """What a body asks for; raises ValueError."""
    strange = said.keys() - {*NAMES, *MORE, "realm"}
    if strange:
        raise ValueError(f"'{min(strange)}' is not a member of it ({' '.join((*NAMES, 'realm', *MORE))})")
    given = [name for name in NAMES if name in said]
    if "realm" in said:
        if said["realm"] is not True:
            raise ValueError("realm is true, or left out")
        given.append("realm")
    if len(given) != 1:
        raise ValueError(f"say what is revoked, one of: {' '.join((*NAMES, 'realm'))}")
    (what,) = given
    name = "" if what == "realm" else text(what, said[what], TOKEN_BYTES if what == "token" else TEXT)
    provider = text("provider", said["provider"]) if "provider" in said else None
    reason = text("reason", said["reason"]) if "reason" in said else ""
    return Order(what, name, provider, before(said.get("before")), seconds(said.get("seconds")), reason)


def text(name: str, value: Any, longest: int = TEXT) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= longest or not value.isprintable():
        raise ValueError(f"{name} is not a text of 1 to {longest} characters")
    return value


def before(value: Any) -> float | None:
    """Unix seconds, as such or as files write them."""
    if value is None:
        return None
    from gateway.config.blocks.moments import WHAT, moment  # 20 MB, which a supervisor is without until it is asked

    if isinstance(value, str):
        try:
            return moment(value)
        except ValueError:
            raise ValueError(f"before is not {WHAT}") from None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e11:
        raise ValueError(f"before is not {WHAT}")
    return float(value)


def seconds(value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= LONGEST:
        raise ValueError(f"seconds is not a number above 0, up to {LONGEST:.0f}")
    return float(value)
