"""The admin listener's pages: `/healthz` (the process lives), `/readyz` (it may get traffic), `/metrics`, `/reload`.

And `/usage`: see usage.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from http import HTTPStatus

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway import __version__
from gateway.admin.pages import HEADERS, from_here, page, problem
from gateway.admin.usage import usage_routes
from gateway.process.reload import Outcome, Reloaded
from gateway.process.usage import UsageDesk

Ready = Callable[[], Awaitable[list[str]]]  # what is missing; empty: ready
Metrics = Callable[[str], Awaitable[tuple[bytes, str]]]  # Accept → exposition, content type
Reload = Callable[[], Awaitable[Reloaded]]

PATIENCE = 2.0  # seconds for the answer to a probe; kubelet's own default is 1
STATUSES = {
    Outcome.INVALID: HTTPStatus.UNPROCESSABLE_ENTITY,
    Outcome.RESTART_NEEDED: HTTPStatus.CONFLICT,
    Outcome.FAILED: HTTPStatus.SERVICE_UNAVAILABLE,
}
PAGES = {"/healthz": "the process lives", "/readyz": "it may get traffic", "/metrics": "for Prometheus"}


def admin_app(
    ready: Ready,
    metrics: Metrics,
    reload: Reload,
    usage: UsageDesk,
    more: Sequence[Route] = (),
    warnings: Callable[[], Sequence[str]] = tuple,
) -> Starlette:
    """The application. `ready` lists what is missing, `draining` among it; `warnings` what keeps it from nothing now;
    `metrics` gives what a scraper accepts.
    """

    async def readiness(_: Request) -> Response:
        missing = await missing_now(ready)
        noted = {"warnings": told} if (told := warnings()) else {}
        if missing:
            return page({"status": "not ready", "missing": missing, **noted}, HTTPStatus.SERVICE_UNAVAILABLE)
        return page({"status": "ready", **noted})

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
        *usage_routes(usage),
        *more,
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
