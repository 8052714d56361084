"""What is charged depends on the answer, over gateways that share a store."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack
from pathlib import Path
from random import Random
from typing import Any

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
  gold: {services: [orders], limits: {hits: [40/year]}}
  few: {services: [orders], limits: {hits: [3/year]}}
  team: {services: [orders], limits: {tokens: [1000/year]}}
applications:
  mobile: {plans: [gold], client_ids: [mobile-app]}
  reports: {plans: [team], client_ids: [gateway-web]}
  batch: {plans: [few], client_ids: [shop-app]}
"""
SERVICE = (
    ORDERS
    + """\
      - GET /orders/chat: {tokens: {json: usage.total_tokens, reserve: 60}}
    metrics: {tokens: {}}
    charge: {except_status: [5xx, 404]}
"""
)


@pytest_asyncio.fixture(loop_scope="session")
async def pair(stage: Stage, redis: Server, tmp_path: Path) -> AsyncIterator[list[Gateway]]:
    async with stage.gateways(2, tmp_path, SERVICE, PLANS, STORE=redis.url, STORE_TIMEOUT="300ms") as gateways:
        yield gateways


async def test_exactly_the_limit_is_charged_whatever_else_is_answered(stage: Stage, pair: list[Gateway]) -> None:
    token, seen = stage.token(), Counter[int]()

    async def client(gateway: Gateway, seed: int) -> None:
        chance = Random(seed)
        while True:
            code = chance.choice((200, 503, 404, 500, 201))
            answer = await gateway.get(f"/orders/status/{code}", token=token)
            seen[answer.status_code] += 1
            if answer.status_code == 429 and answer.headers["retry-after"] != "1":
                return

    await asyncio.gather(*(client(gateway, seed) for seed, gateway in enumerate([*pair, *pair])))
    print(f"answered {dict(seen)}")
    assert seen[200] + seen[201] == 40
    assert seen[503] + seen[404] + seen[500] > 5


async def test_what_a_killed_worker_had_under_way_is_charged(stage: Stage, pair: list[Gateway]) -> None:
    one, other = pair
    token = stage.token("shop-app")

    async def status(gateway: Gateway, code: int) -> int:
        return int((await gateway.get(f"/orders/status/{code}", token=token)).status_code)

    async with AsyncExitStack() as stack:
        assert await status(one, 503) == 503
        _, writer = await stack.enter_async_context(one.connected())
        writer.write(one.head(token, "/orders/slow/30"))
        await until(lambda: is_(status(other, 503), 503))
        await asyncio.sleep(0.5)  # it is under way
        kill(one.worker)
        for _ in range(2):
            await until(lambda: is_(status(other, 200), 200))
        await until(lambda: is_for_good(other, token))  # by what is spent, and not held


async def test_what_answers_say_is_charged_over_all_gateways(stage: Stage, pair: list[Gateway]) -> None:
    """Also by streams of events, until another reserve does not fit."""
    token, said = stage.token("gateway-web"), list[int]()

    async def client(gateway: Gateway, seed: int) -> None:
        chance = Random(seed)
        while True:
            tokens, way = chance.randrange(60), chance.choice(("", "?stream"))
            answer = await gateway.get(f"/orders/chat/{tokens}{way}", token=token)
            if answer.status_code == 200:
                said.append(tokens)
                line = await gateway.logged(answer)
                assert (line["charged"]["tokens"], line["reason"]) == (tokens, "ok")
                continue
            assert answer.status_code == 429, answer.text
            if answer.headers["retry-after"] != "1":
                return

    await asyncio.gather(*(client(gateway, seed) for seed, gateway in enumerate([*pair, *pair])))
    print(f"{len(said)} answers said {sum(said)} in all")
    assert 1000 - 60 < sum(said) <= 1000


async def is_(asked: Coroutine[Any, Any, int], wanted: int) -> bool:
    return await asked == wanted


async def is_for_good(gateway: Gateway, token: str) -> bool:
    answer = await gateway.get("/orders/status/200", token=token)
    assert answer.status_code == 429
    return bool(answer.headers["retry-after"] != "1")
