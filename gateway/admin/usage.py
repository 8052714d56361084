"""`/usage` on the admin listener: what is spent, adding to a limit, starting again at 0."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.admin.pages import Answers, Work, guarded, page
from gateway.model import Address
from gateway.process.peers import user_of
from gateway.process.usage import NotKeptError, Order, UsageDesk
from gateway.quota.adjust import RangeError, UnsureError
from gateway.quota.counters import LARGEST
from gateway.quota.owners import UnknownError
from gateway.store import StoreError

LONGEST = 16 * 1024  # bytes of an order
WHERE = ("application", "plan", "limit", "by")


class OrderError(ValueError):
    """A body that is no order; the message says what would be one."""


ANSWERS: Answers = {
    OrderError: (HTTPStatus.BAD_REQUEST, "bad_request"),
    UnknownError: (HTTPStatus.NOT_FOUND, "unknown"),
    RangeError: (HTTPStatus.CONFLICT, "out_of_range"),
    NotKeptError: (HTTPStatus.NOT_IMPLEMENTED, "not_kept"),
    UnsureError: (HTTPStatus.BAD_GATEWAY, "unsure"),
    StoreError: (HTTPStatus.SERVICE_UNAVAILABLE, "store_down"),
}


def usage_routes(desk: UsageDesk) -> list[Route]:
    """For programs on this machine alone, as with `/reload`: a browser may be led, and names of users are nobody's
    business.
    """

    async def show(request: Request) -> Response:
        strange = request.query_params.keys() - {"application"}
        if strange:
            raise OrderError(f"there is no parameter '{min(strange)}' (application)")
        return page({"usage": await desk.show(request.query_params.get("application"))})

    async def top_up(request: Request) -> Response:
        order, members = await order_of(request, "units")
        return page({"usage": await desk.top_up(order, _units(members.get("units")))})

    async def reset(request: Request) -> Response:
        order, _ = await order_of(request)
        return page({"usage": await desk.reset(order)})

    return [
        Route("/usage", answered(show), methods=["GET"]),
        Route("/usage/topup", answered(top_up), methods=["POST"]),
        Route("/usage/reset", answered(reset), methods=["POST"]),
    ]


def answered(work: Work) -> Work:
    """For orders: see `guarded`."""
    return guarded(work, ANSWERS)


async def order_of(request: Request, *more: str) -> tuple[Order, dict[str, Any]]:
    """What a body asks for, and all its members. Raises OrderError."""
    members = await members_of(request, (*WHERE, *more))
    for name in WHERE:
        if not isinstance(members.get(name), str | None) or members.get(name) == "":
            raise OrderError(f"'{name}' is text")
    if members.get("application") is None:
        raise OrderError("'application' is missing: whose usage is meant")
    who = (members.get("by"), *asker(request))
    return Order(members["application"], members.get("plan"), members.get("limit"), *who), members


async def members_of(request: Request, known: tuple[str, ...]) -> dict[str, Any]:
    """Those of a body, all of which are among the known ones. Raises OrderError."""
    members = _parsed(await _body(request))
    strange = members.keys() - set(known)
    if strange:
        raise OrderError(f"'{min(strange)}' is not a member of it ({' '.join(known)})")
    return members


def asker(request: Request) -> tuple[str, str | None]:
    """Whose program on this machine asks: its address, and its user as the system knows him."""
    assert request.client is not None  # see from_here
    host, port = request.client
    return str(Address(host, port)), user_of(host, port)


async def _body(request: Request) -> bytes:
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > LONGEST:
            raise OrderError(f"more than {LONGEST} bytes")
    return body


def _parsed(body: bytes) -> dict[str, Any]:
    try:
        members = json.loads(body)
    except (ValueError, RecursionError):
        raise OrderError('the body is not JSON, such as {"application": "mobile"}') from None
    if not isinstance(members, dict):
        raise OrderError('the body is not a JSON object, such as {"application": "mobile"}')
    return members


def _units(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < abs(value) <= LARGEST:
        raise OrderError("'units' is a whole number, not 0: how many are added; below 0, taken back")
    return value
