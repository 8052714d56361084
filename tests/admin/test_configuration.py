"""`/configuration`: the plans that a gateway serves, to programs on its machine alone."""

from __future__ import annotations

import httpx2
import pytest
from starlette.applications import Starlette

from gateway.admin.configuration import configuration_routes
from gateway.model import Config
from gateway.process.declared import undeclared


async def told(address: str, **headers: str) -> httpx2.Response:
    app = Starlette(routes=configuration_routes(lambda: Config(workers=3)))
    transport = httpx2.ASGITransport(app, client=(address, 1234))
    async with httpx2.AsyncClient(transport=transport, base_url="http://admin", trust_env=False) as client:
        return await client.get("/configuration", headers=headers)


async def test_who_asks_on_this_machine_is_told() -> None:
    answer = await told("127.0.0.1")
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    assert undeclared(answer.content).workers == 3


@pytest.mark.parametrize(("address", "headers"), [("192.0.2.7", {}), ("127.0.0.1", {"Origin": "http://evil.example"})])
async def test_nobody_else_is(address: str, headers: dict[str, str]) -> None:
    assert (await told(address, **headers)).status_code == 403
