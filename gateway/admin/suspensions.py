"""`/usage/suspended` and `/usage/resume` on the admin listener."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.admin.pages import page
from gateway.admin.usage import OrderError, answered, order_of
from gateway.process.suspensions import SuspensionDesk


def suspension_routes(desk: SuspensionDesk) -> list[Route]:
    """For programs on this machine alone, as with the rest of `/usage`."""

    async def show(request: Request) -> Response:
        strange = request.query_params.keys() - {"application"}
        if strange:
            raise OrderError(f"there is no parameter '{min(strange)}' (application)")
        return page({"suspended": await desk.show(request.query_params.get("application"))})

    async def suspend(request: Request) -> Response:
        order, _ = await order_of(request)
        if order.plan is not None or order.limit is not None:
            raise OrderError("a suspension has 'application' and 'by'")
        return page({"suspended": await desk.suspend(order)})

    async def resume(request: Request) -> Response:
        order, members = await order_of(request, "reset")
        reset = members.get("reset", False)
        if not isinstance(reset, bool) or order.plan is not None or order.limit is not None:
            raise OrderError("a resumption has 'application', 'by', and 'reset', which is true or false")
        return page({"resumed": await desk.resume(order, reset=reset)})

    return [
        Route("/usage/suspended", answered(show), methods=["GET"]),
        Route("/usage/suspend", answered(suspend), methods=["POST"]),
        Route("/usage/resume", answered(resume), methods=["POST"]),
    ]
