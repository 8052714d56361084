"""While usage cannot be counted nobody gets in, and everybody is told so at once: 503, for a moment."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from rigs.gateway import Gateway
from rigs.lateness import Lateness
from rigs.load import rush
from rigs.proxy import read_answer
from rigs.stage import ORDERS, Stage
from rigs.stores import Server
from rigs.waiting import until

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.redis]

PROMISED = 0.060  # seconds: the store's time limit of 50 ms, and the gateway's own work
LIMIT = 1_000
PLANS = f"""
plans:
  gold: {{services: [orders], limits: {{hits: [{LIMIT}/eternity]}}}}
applications:
  mobile: {{plans: [gold], client_ids: [mobile-app]}}
"""

Hurt = Callable[[Server], None]


def stop(redis: Server) -> None:
    """It hangs: connections stay, and nothing is answered."""
    redis.signal(signal.SIGSTOP)


def crash(redis: Server) -> None:
    """It is gone: connections are refused."""
    redis.kill()


def bring_back(redis: Server, hurt: Hurt) -> None:
    if hurt is stop:
        redis.signal(signal.SIGCONT)
    else:
        redis.start()


async def ask(gateway: Gateway, token: str, times: int) -> list[tuple[bytes, float]]:
    """Answers, and the seconds that each took, on one connection."""
    answers = []
    async with gateway.connected() as (reader, writer):
        for _ in range(times):
            begun = time.monotonic()
            writer.write(gateway.head(token))
            answers.append((await read_answer(reader), time.monotonic() - begun))
    return answers


async def ask_at_once(gateway: Gateway, token: str, connections: int, times: int) -> list[tuple[bytes, float]]:
    asked = await asyncio.gather(*(ask(gateway, token, times) for _ in range(connections)))
    return [answer for answers in asked for answer in answers]


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.parametrize("hurt", [stop, crash])
async def test_a_store_that_is_away_costs_a_503_and_no_more_time_than_promised(
    stage: Stage, redis: Server, tmp_path: Path, hurt: Hurt, record_property: Callable[[str, object], None]
) -> None:
    token = stage.token()
    async with stage.gateway(tmp_path, ORDERS, PLANS, STORE=redis.url, STORE_TIMEOUT="50ms") as gateway:
        await until(lambda: is_let_in(gateway, token))
        hurt(redis)
        async with Lateness() as lateness:
            answers = await ask_at_once(gateway, token, connections=5, times=20)
        longest = max(seconds for _, seconds in answers)
        record_property("longest_ms", round(longest * 1000))
        told = f"of {len(answers)} answers the longest took {longest * 1000:.0f} ms"
        print(f"\n{hurt.__name__}: {told}; turns came up to {lateness.most * 1000:.0f} ms late")
        for answer, _ in answers:
            assert answer.startswith(b"HTTP/1.1 503 ")
            assert b'"code":"ledger_down"' in answer
            assert b"\r\nretry-after: 1\r\n" in answer
        assert longest < PROMISED + lateness.of_an_answer
        assert await until(gateway.missing) == ["store: it does not answer"]
        assert (await gateway.readyz()).status_code == 503
        bring_back(redis, hurt)
        await until(lambda: is_let_in(gateway, token))
        await until(gateway.is_ready)


@pytest.mark.slow
@pytest.mark.parametrize("hurt", [stop, crash])
async def test_nobody_is_let_in_above_the_limit_by_a_store_that_comes_and_goes(
    stage: Stage, redis: Server, tmp_path: Path, hurt: Hurt
) -> None:
    """A unit that the store counted while its answer was lost belongs to a request that was told 503."""
    token = stage.token()
    async with stage.gateways(2, tmp_path, ORDERS, PLANS, STORE=redis.url, STORE_TIMEOUT="50ms") as gateways:
        busy = asyncio.create_task(rush(gateways, token, 2_000, connections=20))
        await until(lambda: decided(gateways[0], "ok", 100))
        hurt(redis)
        await until(lambda: decided(gateways[0], "ledger_down", 20))
        bring_back(redis, hurt)
        statuses = await busy
        for gateway in gateways:
            await until(gateway.is_ready)
        statuses += await rush(gateways, token, 1_200)
        assert set(statuses) == {200, 429, 503}
        assert statuses[200] <= LIMIT <= statuses[200] + statuses[503]


async def test_a_gateway_starts_without_its_store_and_serves_once_it_is_there(
    stage: Stage, redis: Server, tmp_path: Path
) -> None:
    token = stage.token()
    redis.kill()
    async with stage.gateway(tmp_path, ORDERS, PLANS, start=False, STORE=redis.url, STORE_TIMEOUT="50ms") as gateway:
        await gateway.start(missing="store: ")
        answer = await gateway.get(token=token)
        assert (answer.status_code, answer.json()["code"]) == (503, "identity_unavailable")  # it may be revoked
        redis.start()
        await until(lambda: is_let_in(gateway, token))


async def test_what_was_counted_is_found_again(stage: Stage, redis: Server, tmp_path: Path) -> None:
    token = stage.token()
    async with stage.gateway(tmp_path, ORDERS, PLANS, STORE=redis.url) as gateway:
        assert await rush([gateway], token, 600) == {200: 600}
        redis.kill()
        await until(gateway.missing)
        redis.start()
        await until(gateway.is_ready)
        assert await rush([gateway], token, 600) == {200: 400, 429: 200}


async def is_let_in(gateway: Gateway, token: str) -> bool:
    ((answer, _),) = await ask(gateway, token, 1)
    assert answer.startswith((b"HTTP/1.1 200 ", b"HTTP/1.1 503 "))
    return answer.startswith(b"HTTP/1.1 200 ")


async def decided(gateway: Gateway, reason: str, requests: int) -> bool:
    """Whether so many requests ended so."""
    return await gateway.metric(f'gateway_decisions_total{{reason="{reason}"}}') >= requests
