"""`/keys` on the admin listener: which API keys were revoked, when they were used, revoking and taking that back."""

from __future__ import annotations

import math
import re
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.admin.pages import page
from gateway.admin.usage import OrderError, answered, asker, members_of
from gateway.process.keys import KeyDesk, KeyOrder

_digest = re.compile(r"sha256:[0-9a-f]{64}").fullmatch
LATEST = 253_402_300_799  # the last second of the year 9999


def key_routes(desk: KeyDesk) -> list[Route]:
    """For programs on this machine alone, as with `/usage`."""

    async def show(request: Request) -> Response:
        if request.query_params:
            raise OrderError("there are no parameters")
        return page({"revoked": await desk.show(), "used": await desk.used()})

    async def revoke(request: Request) -> Response:
        return page({"revoked": await desk.revoke(await _order(request, "at"))})

    async def restore(request: Request) -> Response:
        return page({"restored": await desk.restore(await _order(request))})

    return [
        Route("/keys", answered(show), methods=["GET"]),
        Route("/keys/revoke", answered(revoke), methods=["POST"]),
        Route("/keys/restore", answered(restore), methods=["POST"]),
    ]


async def _order(request: Request, *more: str) -> KeyOrder:
    """What a body asks for. Raises OrderError."""
    members = await members_of(request, ("digest", "by", *more))
    digest, by = members.get("digest"), members.get("by")
    if not isinstance(digest, str) or not _digest(digest):
        raise OrderError("'digest' is sha256: and 64 hexadecimal digits, in lower case")
    if not isinstance(by, str | None) or by == "":
        raise OrderError("'by' is text")
    return KeyOrder(digest, _moment(members.get("at")), by, *asker(request))


def _moment(value: Any) -> float | None:
    if value is None:
        return None
    if type(value) not in (int, float) or not math.isfinite(value) or not 0 < value <= LATEST:
        raise OrderError("'at' is a time in Unix seconds")
    return float(value)
