"""`/configuration` on the admin listener: the plans that the gateway serves, for `gateway diff`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.admin.pages import HEADERS, guarded
from gateway.model import Config
from gateway.process.declared import declared


def configuration_routes(config: Callable[[], Config]) -> list[Route]:
    """For programs on this machine alone. Without secrets: see `declared`."""

    async def show(_: Request) -> Response:
        body = await asyncio.to_thread(declared, config())
        return Response(body, headers={**HEADERS, "Content-Type": "application/json"})

    return [Route("/configuration", guarded(show, {}), methods=["GET"])]
