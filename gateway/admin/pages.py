"""What pages of the admin listener are made of."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from ipaddress import ip_address
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

Work = Callable[[Request], Awaitable[Response]]
Answer = tuple[HTTPStatus, str] | tuple[HTTPStatus, str, str]  # with the code, and the detail if not the error's own
Answers = Mapping[type[Exception], Answer]  # the narrower first

HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
BROWSERS = ("origin", "sec-fetch-site", "referer")  # fields that a page's script cannot leave out


def from_here(request: Request) -> bool:
    """Whether a program on this machine asks: nobody says who he is here, and a browser may be led."""
    host = "" if request.client is None else request.client.host
    return bool(host) and ip_address(host).is_loopback and not any(name in request.headers for name in BROWSERS)


def guarded(work: Work, answers: Answers) -> Work:
    """`work` for programs on this machine, with what it raises as problem details (RFC 9457) of a status and code."""

    async def answer(request: Request) -> Response:
        if not from_here(request):
            raise HTTPException(HTTPStatus.FORBIDDEN)
        try:
            return await work(request)
        except tuple(answers) as error:
            status, word, *detail = next(found for kind, found in answers.items() if isinstance(error, kind))
            return problem(status, {}, code=word, detail=detail[0] if detail else str(error))

    return answer


def problem(status: HTTPStatus, headers: Mapping[str, str], **members: Any) -> Response:
    """Problem details of a status; `members` say more."""
    code = status.phrase.lower().replace(" ", "_")
    body = {"type": "about:blank", "title": status.phrase, "status": status, "code": code, **members}
    return page(body, status, {**headers, "Content-Type": "application/problem+json"})


def page(body: Any, status: int = HTTPStatus.OK, headers: Mapping[str, str] | None = None) -> Response:
    """JSON that nobody keeps."""
    fields = {**HEADERS, "Content-Type": "application/json", **(headers or {})}
    return Response(json.dumps(body) + "\n", status, fields)
