"""The admin listener's pages about alerts, for programs on this machine: what `gateway alerts` talks to."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.admin.pages import Answers, guarded, page
from gateway.alerts.desk import Desk, Unfit, Unknown, Wanted
from gateway.alerts.shelf import AWAY

STORE_DOWN = HTTPStatus.SERVICE_UNAVAILABLE, "service_unavailable", "the store does not answer"
ANSWERS: Answers = {
    Unknown: (HTTPStatus.NOT_FOUND, "not_found"),
    Unfit: (HTTPStatus.CONFLICT, "conflict"),
    ValueError: (HTTPStatus.BAD_REQUEST, "bad_request"),
    **dict.fromkeys(AWAY, STORE_DOWN),
}
LARGEST = 10_000  # bytes of a request's body
LONGEST = 366 * 86_400.0  # seconds of a silence
TEXT = 200  # characters of a name or comment


def alert_routes(desk: Desk) -> list[Route]:
    """All of them, over one desk."""

    async def listed(request: Request) -> Response:
        asked = request.query_params
        return page({"alerts": await desk.listed(asked.get("state"), asked.get("application"))})

    async def shown(request: Request) -> Response:
        return page(await desk.show(request.path_params["id"]))

    async def acknowledged(request: Request) -> Response:
        said = await fields(request)
        return page(await desk.acknowledge(request.path_params["id"], text(said, "by") or "somebody"))

    async def sent_again(request: Request) -> Response:
        return page(await desk.retry(request.path_params["id"]))

    async def all_sent_again(_: Request) -> Response:
        return page({"alerts": await desk.retry_dead()})

    async def silences(_: Request) -> Response:
        return page({"silences": await desk.silences()})

    async def silenced(request: Request) -> Response:
        return page(await desk.silence(wanted(await fields(request))))

    async def unsilenced(request: Request) -> Response:
        await desk.unsilence(request.path_params["id"])
        return page({"ended": request.path_params["id"]})

    async def tested(request: Request) -> Response:
        return page(await desk.test(request.path_params["name"]))

    return [
        Route("/alerts", guarded(listed, ANSWERS)),
        Route("/alerts/retry", guarded(all_sent_again, ANSWERS), methods=["POST"]),
        Route("/alerts/{id}", guarded(shown, ANSWERS)),
        Route("/alerts/{id}/acknowledge", guarded(acknowledged, ANSWERS), methods=["POST"]),
        Route("/alerts/{id}/retry", guarded(sent_again, ANSWERS), methods=["POST"]),
        Route("/silences", guarded(silences, ANSWERS)),
        Route("/silences", guarded(silenced, ANSWERS), methods=["POST"]),
        Route("/silences/{id}", guarded(unsilenced, ANSWERS), methods=["DELETE"]),
        Route("/channels/{name:path}/test", guarded(tested, ANSWERS), methods=["POST"]),
    ]


async def fields(request: Request) -> dict[str, Any]:
    """The body's JSON object; nothing is an empty one. Raises ValueError."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST:
            raise ValueError(f"the body is larger than {LARGEST} bytes")
    found = json.loads(body) if body else {}
    if not isinstance(found, dict):
        raise ValueError("the body is not a JSON object")
    return found


def wanted(said: dict[str, Any]) -> Wanted:
    """A silence. Raises ValueError."""
    seconds = said.get("seconds")
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds <= LONGEST:
        raise ValueError(f"seconds is not a number above 0, up to {LONGEST:.0f}")
    application, plan, metric, comment = (text(said, name) for name in ("application", "plan", "metric", "comment"))
    return Wanted(float(seconds), application, plan, metric, comment or "")


def text(said: dict[str, Any], name: str) -> str | None:
    """A member that is text, if it is there. Raises ValueError."""
    found = said.get(name)
    if found is not None and (not isinstance(found, str) or not 0 < len(found) <= TEXT):
        raise ValueError(f"{name} is not a text of 1 to {TEXT} characters")
    return found
