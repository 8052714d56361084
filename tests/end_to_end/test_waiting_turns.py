"""Requests that wait for their turn, at gateways that share a store."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from rigs.gateway import Gateway
from rigs.proxy import read_answer
from rigs.stage import ORDERS, Stage
from rigs.stores import Server
from rigs.waiting import until

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.redis]

GRANTED = 'gateway_waits_total{result="granted"}'
SERVICE = ORDERS + "    charge: {except_status: [5xx]}\n"
PLANS = """
plans:
  few: {services: [orders], limits: {hits: [{concurrent: 2, over: {wait: 5s}}]}}
  fast: {services: [orders], limits: {hits: [{rate: 20/second, burst: 5, over: {wait: 2s}}]}}
  free: {services: [orders], limits: {hits: [{limit: 3/year, over: {wait: 10s}}]}}
applications:
  web: {plans: [free], client_ids: [gateway-web]}
  mobile: {plans: [few], client_ids: [mobile-app]}
  batch: {plans: [fast], client_ids: [shop-app]}
"""


@pytest_asyncio.fixture(loop_scope="session")
async def pair(stage: Stage, redis: Server, tmp_path: Path) -> AsyncIterator[list[Gateway]]:
    async with stage.gateways(2, tmp_path, SERVICE, PLANS, STORE=redis.url, STORE_TIMEOUT="300ms") as gateways:
        yield gateways


async def statuses(gateways: list[Gateway], token: str, requests: int, path: str) -> Counter[str]:
    """Of so many at once, spread over gateways; `cut` where there was no answer."""

    async def one(gateway: Gateway) -> str:
        async with gateway.connected() as (reader, writer):
            writer.write(gateway.head(token, path))
            try:
                return (await read_answer(reader))[9:12].decode()
            except (ConnectionError, asyncio.IncompleteReadError):
                return "cut"

    return Counter(await asyncio.gather(*(one(gateways[number % len(gateways)]) for number in range(requests))))


async def waiting(gateways: list[Gateway]) -> float:
    return sum([await gateway.metric("gateway_waiting_requests") for gateway in gateways])


async def test_a_burst_is_drawn_out_to_the_rate_over_all_gateways(stage: Stage, pair: list[Gateway]) -> None:
    token = stage.token("shop-app")
    began = time.monotonic()
    assert await statuses(pair, token, 30, "/orders") == {"200": 30}
    took = time.monotonic() - began
    print(f"30 requests at 20 a second and a burst of 5 took {took:.2f} s")
    assert took >= 25 / 20
    waited = await until(lambda: waits(pair))
    assert max(waited) <= 2100


def waits(gateways: list[Gateway]) -> list[float]:
    """How long requests waited, once most lines are written; some were served before the ledger had said no."""
    found = [line["waited_ms"] for gateway in gateways for line in gateway.access_log() if "waited_ms" in line]
    return found if len(found) >= 12 else []


async def test_so_many_at_once_and_the_others_have_their_turn(stage: Stage, pair: list[Gateway]) -> None:
    began = time.monotonic()
    assert await statuses(pair, stage.token(), 10, "/orders/slow/0.2") == {"200": 10}
    took = time.monotonic() - began
    print(f"10 requests of 0.2 s, 2 at once, took {took:.2f} s")
    assert took >= 1.0
    results = [await gateway.metric(GRANTED) for gateway in pair]
    assert 5 <= sum(results) <= 8  # some were served before the ledger had said no


async def test_what_answers_do_not_cost_is_had_by_those_that_wait(stage: Stage, pair: list[Gateway]) -> None:
    """Of a limit of 3 in a year: all are let in while none is charged, then 3, and nobody waits for the next year."""
    token = stage.token("gateway-web")
    assert await statuses(pair, token, 12, "/orders/status/503") == {"503": 12}
    began = time.monotonic()
    assert await statuses(pair, token, 8, "/orders/slow/0.2") == {"200": 3, "429": 5}
    took = time.monotonic() - began
    print(f"refused, as nothing could come back any more, within {took:.2f} s")
    assert took < 9


async def queued(gateways: list[Gateway]) -> bool:
    """Whether it has been told that some wait."""
    return await waiting(gateways) > 0


async def test_the_store_goes_away_while_requests_wait(stage: Stage, redis: Server, pair: list[Gateway]) -> None:
    asked = asyncio.create_task(statuses(pair, stage.token(), 6, "/orders/slow/1.5"))
    await until(lambda: queued(pair))
    redis.kill()
    found = await asked
    print("when the store went away while some waited:", dict(found))
    assert found["200"] >= 2  # permits in hand go on
    assert found["503"] + found["200"] == 6  # ledger_down: closed
    assert found["503"]


async def test_at_a_stop_who_waits_has_its_turn(stage: Stage, pair: list[Gateway]) -> None:
    asked = asyncio.create_task(statuses(pair, stage.token(), 6, "/orders/slow/1"))
    await until(lambda: queued(pair))
    codes = await asyncio.gather(*(gateway.stop() for gateway in pair))
    assert (await asked, codes) == ({"200": 6}, [0, 0])
