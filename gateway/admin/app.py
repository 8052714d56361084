"""The admin listener's pages: `/healthz` (the process lives), `/readyz` (it may get traffic), `/metrics`, `/reload`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from ipaddress import ip_address
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway import __version__
from gateway.process.reload import Outcome, Reloaded

Ready = Callable[[], Awaitable[list[str]]]  # what is missing; empty: ready
Metrics = Callable[[str], Awaitable[tuple[bytes, str]]]  # Accept → exposition, content type
Reload = Callable[[], Awaitable[Reloaded]]

PATIENCE = 2.0  # seconds for the answer to a probe; kubelet's own default is 1
HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
BROWSERS = ("origin", "sec-fetch-site", "referer")  # fields that a page's script cannot leave out
STATUSES = {
    Outcome.INVALID: HTTPStatus.UNPROCESSABLE_ENTITY,
    Outcome.RESTART_NEEDED: HTTPStatus.CONFLICT,
    Outcome.FAILED: HTTPStatus.SERVICE_UNAVAILABLE,
}
PAGES = {"/healthz": "the process lives", "/readyz": "it may get traffic", "/metrics": "for Prometheus"}


def admin_app(ready: Ready, metrics: Metrics, reload: Reload) -> Starlette:
    """The application. `ready` lists what is missing, `draining` among it; `metrics` gives what a scraper accepts."""

    async def readiness(_: Request) -> Response:
        missing = await missing_now(ready)
        if missing:
            return page({"status": "not ready", "missing": missing}, HTTPStatus.SERVICE_UNAVAILABLE)
        return page({"status": "ready"})

    async def exposition(request: Request) -> Response:
        body, content_type = await metrics(",".join(request.headers.getlist("accept")))
        return Response(body, headers={**HEADERS, "Content-Type": content_type})

    async def reloading(request: Request) -> Response:
        if not from_here(request):
            raise HTTPException(HTTPStatus.FORBIDDEN)
        return outcome_page(await reload())

    routes = [
        Route("/", index),
        Route("/healthz", health),
        Route("/readyz", readiness),
        Route("/metrics", exposition),
        Route("/reload", reloading, methods=["POST"]),
    ]
    app = Starlette(routes=routes, exception_handlers={HTTPException: refusal, Exception: fault})
    app.router.redirect_slashes = False
    return app


async def missing_now(ready: Ready) -> list[str]:
    """What `ready` says; a check that hangs or fails is itself what is missing."""
    try:
        async with asyncio.timeout(PATIENCE):
            return await ready()
    except TimeoutError:
        return [f"the readiness check took more than {PATIENCE:g} s"]
    except Exception as error:  # a probe is answered whatever is broken
        return [f"the readiness check failed: {type(error).__name__}"]


def from_here(request: Request) -> bool:
    """Whether a program on this machine asks: nobody says who he is here, and a browser may be led."""
    host = "" if request.client is None else request.client.host
    return bool(host) and ip_address(host).is_loopback and not any(name in request.headers for name in BROWSERS)


def outcome_page(reloaded: Reloaded) -> Response:
    """How a reload ended, with every problem of the files."""
    if reloaded.done:
        return page({"status": reloaded.outcome, "detail": reloaded.detail})
    status = STATUSES[reloaded.outcome]
    problems = {"problems": reloaded.problems} if reloaded.problems else {}
    return problem(status, {}, code=reloaded.outcome, detail=reloaded.detail, **problems)


async def index(_: Request) -> Response:
    """What there is."""
    return page({"name": "gateway", "version": __version__, "pages": PAGES})


async def health(_: Request) -> Response:
    """Always well: nothing that a restart would not cure belongs here."""
    return page({"status": "ok"})


async def refusal(_: Request, error: Exception) -> Response:
    """404 and 405 as problem details (RFC 9457)."""
    assert isinstance(error, HTTPException)
    return problem(HTTPStatus(error.status_code), error.headers or {})


async def fault(_: Request, __: Exception) -> Response:
    """A fault of ours; the server logs its traceback."""
    return problem(HTTPStatus.INTERNAL_SERVER_ERROR, {})


def problem(status: HTTPStatus, headers: Mapping[str, str], **members: Any) -> Response:
    """Problem details of a status; `members` say more."""
    code = status.phrase.lower().replace(" ", "_")
    body = {"type": "about:blank", "title": status.phrase, "status": status, "code": code, **members}
    return page(body, status, {**headers, "Content-Type": "application/problem+json"})


def page(body: Any, status: int = HTTPStatus.OK, headers: Mapping[str, str] | None = None) -> Response:
    """JSON that nobody keeps."""
    fields = {**HEADERS, "Content-Type": "application/json", **(headers or {})}
    return Response(json.dumps(body) + "\n", status, fields)
