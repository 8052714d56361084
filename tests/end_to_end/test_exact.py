"""A limit is the number of requests that get in, not one more and not one less, whoever asks and whatever restarts."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from rigs.load import lasting, rush
from rigs.stage import ORDERS, Stage
from rigs.stores import Server

pytestmark = pytest.mark.asyncio(loop_scope="session")


def plans(amount: int) -> str:
    return f"""
plans:
  gold: {{services: [orders], limits: {{hits: [{lasting(amount)}]}}}}
applications:
  mobile: {{plans: [gold], client_ids: [mobile-app]}}
"""


@pytest.mark.slow
@pytest.mark.redis
async def test_four_gateways_on_one_redis_let_in_exactly_the_limit(stage: Stage, redis: Server, tmp_path: Path) -> None:
    async with stage.gateways(4, tmp_path, ORDERS, plans(1_000), STORE=redis.url) as running:
        assert await rush(running, stage.token(), 4_000) == {200: 1_000, 429: 3_000}


@pytest.mark.slow
async def test_one_gateway_with_its_own_store_lets_in_exactly_the_limit(stage: Stage, tmp_path: Path) -> None:
    async with stage.gateway(tmp_path, ORDERS, plans(1_000), STORE="embedded") as gateway:
        assert await rush([gateway], stage.token(), 4_000) == {200: 1_000, 429: 3_000}


async def test_usage_outlives_a_restart_with_another_limit(stage: Stage, tmp_path: Path) -> None:
    ten = plans(10)
    async with stage.gateway(tmp_path, ORDERS, ten, STORE="embedded") as gateway:
        assert await rush([gateway], stage.token(), 12, connections=2) == {200: 10, 429: 2}
        await gateway.stop()
        gateway.configure(ORDERS, ten.replace("limit: 10/", "limit: 15/"))
        await gateway.start()
        assert await rush([gateway], stage.token(), 12, connections=2) == {200: 5, 429: 7}


async def test_usage_survives_a_gateway_that_is_killed(stage: Stage, tmp_path: Path) -> None:
    """All of it once it stood idle for a second; before, what it has in hand is lost to this window."""
    async with stage.gateway(tmp_path, ORDERS, plans(100), STORE="embedded", STORE_TIMEOUT="500ms") as gateway:
        assert await rush([gateway], stage.token(), 70, connections=2) == {200: 70}
        await asyncio.sleep(1.2)
        gateway.process.kill()
        await gateway.ended()
        await gateway.start()
        assert await rush([gateway], stage.token(), 40, connections=2) == {200: 30, 429: 10}
