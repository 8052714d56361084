"""What is under way at once, and how fast it comes, over gateways that share a store."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import pytest_asyncio
from rigs.gateway import Gateway
from rigs.processes import kill
from rigs.stage import ORDERS, Stage
from rigs.stores import Server
from rigs.waiting import until

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.redis]

PLANS = """
plans:
  gold: {services: [orders], limits: {hits: [{concurrent: 3}]}}
  fast: {services: [orders], limits: {hits: [{rate: 40/second, burst: 20}]}}
applications:
  mobile: {plans: [gold], client_ids: [mobile-app]}
  batch: {plans: [fast], client_ids: [shop-app]}
"""


@pytest_asyncio.fixture(loop_scope="session")
async def pair(stage: Stage, redis: Server, tmp_path: Path) -> AsyncIterator[list[Gateway]]:
    async with stage.gateways(2, tmp_path, ORDERS, PLANS, STORE=redis.url, STORE_TIMEOUT="300ms") as gateways:
        yield gateways


async def busy(stage: Stage, gateway: Gateway, stack: AsyncExitStack) -> asyncio.StreamWriter:
    """A request that is let in, and goes on until its connection is closed."""
    while True:
        reader, writer = await stack.enter_async_context(gateway.connected())
        writer.write(gateway.head(stage.token(), "/orders/slow/30"))
        try:
            async with asyncio.timeout(1):  # a refusal comes within the store's timeout
                await reader.readexactly(1)
        except TimeoutError:
            return writer


async def status(stage: Stage, gateway: Gateway) -> int:
    code: int = (await gateway.get(token=stage.token())).status_code
    return code


async def test_so_many_at_once_however_they_end(stage: Stage, pair: list[Gateway]) -> None:
    one, other = pair
    async with AsyncExitStack() as stack:
        assert await status(stage, other) == 200
        writers = [await busy(stage, one, stack) for _ in range(3)]
        answer = await other.get(token=stage.token())
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
        assert (answer.json()["period"], answer.json()["limit"], answer.json()["resets_at"]) == ("concurrent", 3, None)
        assert answer.headers["ratelimit"] == '"hits-concurrent";r=0'
        writers[0].transport.abort()
        await busy(stage, other, stack)
        assert await status(stage, one) == await status(stage, other) == 429
        kill(one.worker)
        killed = time.monotonic()
        await until(lambda: served(stage, other))
        print(f"what a killed worker had under way was free after {time.monotonic() - killed:.1f} s")


async def served(stage: Stage, gateway: Gateway) -> bool:
    return await status(stage, gateway) == 200


async def test_no_faster_over_all_gateways(stage: Stage, pair: list[Gateway]) -> None:
    token = stage.token("shop-app")
    began = time.monotonic()
    admitted = 0
    statuses: Counter[int] = Counter()

    async def client(gateway: Gateway) -> None:
        nonlocal admitted
        while time.monotonic() < began + 2:
            answer = await gateway.get(token=token)
            statuses[answer.status_code] += 1
            admitted += answer.status_code == 200

    await asyncio.gather(*(client(gateway) for gateway in pair for _ in range(4)))
    most = 20 + 40 * (time.monotonic() - began)
    print(f"{admitted} were let in, of {most:.0f} at most", statuses)
    assert most / 2 < admitted <= most + 1
