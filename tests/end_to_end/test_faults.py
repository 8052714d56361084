"""Limits of several gateways on one store while it or they are killed, hang, or stand idle. Figures are printed.

The sizes are for a check; for the whole: FAULTS_LIMIT=20000 FAULTS_RATE=2000 FAULTS_HANG=30.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from rigs.gateway import Gateway
from rigs.load import lasting
from rigs.processes import kill
from rigs.rush import Rush, service
from rigs.stage import Stage
from rigs.stores import Server, binary_of
from rigs.waiting import until

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.redis, pytest.mark.slow]

LIMIT = int(os.environ.get("FAULTS_LIMIT", "6000"))
RATE = float(os.environ.get("FAULTS_RATE", "1000"))  # requests a second, over all gateways
HANG = float(os.environ.get("FAULTS_HANG", "5"))  # seconds for which the store hangs
MANY = max(LIMIT, 20_000)  # where calls are counted, at three times the rate
CALLS_PER_REQUEST = 0.02
SHARE = 40  # units a second that four gateways have together while the store is away
LOCAL = "{local: {share: 10%, gateways: 4}}"
SLOWEST = 0.060  # seconds for 99 of 100 answers while the store is away, and what a busy machine adds
STARVED = 0.020  # seconds late at which a store may not have its turn within its time limit of 50 ms

SERVICE = """
services:
  orders:
    path: /orders
    upstream: {targets: ["${UPSTREAM}"]}
    accept: [{jwt: keycloak}]
    rules: [GET /orders: hits]
"""


def plans(amount: int, down: str = "closed") -> str:
    return plan(lasting(amount), down)


def plan(limit: str, down: str) -> str:
    return f"""
plans:
  gold: {{services: [orders], limits: {{hits: [{limit}]}}, ledger_down: {down}}}
applications:
  mobile: {{plans: [gold], client_ids: [mobile-app]}}
"""


@pytest.fixture
def forgetful(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A Redis that writes nothing to its disk."""
    server = Server(binary_of("redis"), tmp_path_factory.mktemp("redis")).start()
    yield server
    server.close()


@pytest_asyncio.fixture(loop_scope="session")
async def four(
    request: pytest.FixtureRequest, stage: Stage, forgetful: Server, tmp_path: Path
) -> AsyncIterator[list[Gateway]]:
    """Four gateways on it, under a plan of the fixture's parameter, or `LIMIT` requests."""
    plan = getattr(request, "param", plans(LIMIT))
    async with service() as upstream:
        store = {"STORE": forgetful.url, "STORE_TIMEOUT": "50ms", "UPSTREAM": upstream}
        async with stage.gateways(4, tmp_path, SERVICE, plan, **store) as gateways:
            yield gateways


def calls(server: Server) -> int:
    """Scripts that the store has run."""
    with server.client() as redis:
        return int(redis.info("commandstats").get("cmdstat_evalsha", {}).get("calls", 0))


def units(server: Server) -> tuple[int, int]:
    """Spent, and in hand of gateways, as the store knows it."""
    with server.client() as redis:
        counters = [redis.get(key).split() for key in redis.scan_iter("gw:{mobile}:gold:*")]
    return sum(int(counter[0]) for counter in counters), sum(int(counter[1]) for counter in counters)


def held(server: Server) -> int:
    """Units that gateways have in hand, as the store knows it."""
    return units(server)[1]


def given_up(gateways: list[Gateway]) -> int:
    """Units of calls that were not answered, as the gateways log them."""
    said = [re.match(r"(\d+) units of ", line["message"]) for gateway in gateways for line in gateway.log()]
    return sum(int(found[1]) for found in said if found)


async def the_rest(gateways: list[Gateway], token: str, rounds: int = 3) -> int:
    """What can still be used of a limit, once idle units are back."""
    admitted = 0
    for _ in range(rounds):
        await asyncio.sleep(1.2)
        while (some := (await Rush(gateways, token, 400).end()).admitted) > 0:
            admitted += some
    return admitted


@pytest.mark.alone
@pytest.mark.parametrize("four", [plans(MANY)], indirect=True, ids=[str(MANY)])
async def test_exactly_the_limit_at_next_to_no_calls(stage: Stage, forgetful: Server, four: list[Gateway]) -> None:
    before, requests = calls(forgetful), MANY * 3 // 2
    rush = await Rush(four, stage.token(), requests, rate=max(RATE, 3_000)).end()
    per_request = (calls(forgetful) - before) / requests
    print(rush.told("four gateways", MANY), f"; {per_request:.4f} calls a request")
    assert rush.admitted == MANY
    assert set(rush.statuses) == {200, 429} or (
        rush.lateness.most > STARVED and set(rush.problems) == {"over_limit", "ledger_down"}
    )
    assert per_request <= CALLS_PER_REQUEST


async def test_a_store_that_is_killed_twice_and_forgets_everything(
    stage: Stage, forgetful: Server, four: list[Gateway]
) -> None:
    token = stage.token()
    async with Rush(four, token, rate=RATE * 0.6) as rush:
        for _ in range(2):
            await asyncio.sleep(1.5)
            forgetful.kill()
            await asyncio.sleep(0.3)
            forgetful.start()
            await until(lambda: all_are_ready(four))
    assert rush.admitted <= LIMIT
    admitted = rush.admitted + await the_rest(four, token)
    lost = given_up(four)
    print(rush.told("store killed twice", LIMIT), f"; in the end {admitted}, units of calls not answered: {lost}")
    assert LIMIT - lost <= admitted <= LIMIT
    assert set(rush.statuses) <= {200, 429, 503}


async def all_are_ready(gateways: list[Gateway]) -> bool:
    return all(await asyncio.gather(*(gateway.is_ready() for gateway in gateways)))


async def test_two_gateways_that_are_killed(stage: Stage, forgetful: Server, four: list[Gateway]) -> None:
    """What they had in hand stays held; nobody knows whether they have used it."""
    token, dead, alive = stage.token(), four[:2], four[2:]
    async with Rush(four, token, rate=RATE) as rush:
        await asyncio.sleep(1.5)
        for gateway in dead:
            for process in gateway.processes():
                kill(process)
        in_hand = held(forgetful)
        await asyncio.sleep(1.0)
    admitted = rush.admitted + await the_rest(alive, token)
    stays = held(forgetful)
    print(
        rush.told("two gateways killed", LIMIT),
        f"; in the end {admitted}; held at the kill {in_hand}, stays held {stays}",
    )
    assert LIMIT - stays - rush.lost <= admitted <= LIMIT
    assert stays <= in_hand
    for gateway in dead:
        await gateway.ended()


async def test_two_workers_that_are_killed_and_one_that_stood_still(
    stage: Stage, forgetful: Server, four: list[Gateway]
) -> None:
    """Not one unit is lost: each was answered, or belongs to a request that its worker took along when it died."""
    token = stage.token()
    async with Rush(four, token, rate=RATE) as rush:
        await asyncio.sleep(1.5)
        for gateway in four[:2]:
            kill(gateway.worker)
        still = four[2].worker
        still.suspend()
        await asyncio.sleep(1.0)
        still.resume()
    await until(lambda: all_are_ready(four))
    admitted = rush.admitted + await the_rest(four, token)
    spent, in_hand = units(forgetful)
    print(
        rush.told("two workers killed", LIMIT),
        f"; in the end {admitted}; the store has {spent} spent, {in_hand} in hand",
    )
    assert (spent, in_hand) == (LIMIT, 0)
    assert LIMIT - rush.lost <= admitted <= LIMIT


@pytest.mark.alone
@pytest.mark.parametrize("four", [plans(500)], indirect=True, ids=["500"])
async def test_idle_gateways_leave_the_whole_limit_to_one(stage: Stage, forgetful: Server, four: list[Gateway]) -> None:
    token = stage.token()
    first = await Rush(four, token, 200, rate=400).end()
    in_hand = held(forgetful)
    await asyncio.sleep(2)
    rest = await Rush(four[:1], token, 500, connections=4).end()
    print(first.told("then idle", 500), f"; {in_hand} were held; then one gateway alone: {rest.admitted}")
    assert in_hand > 0
    assert (first.admitted, rest.admitted) == (200, 300)


Expect = Callable[[Rush], bool]


def nobody_is_let_in(rush: Rush) -> bool:
    """But with units that are in hand: those may be spent."""
    return set(rush.problems) <= {"ledger_down"} and rush.statuses[503] > rush.admitted


def everybody_is_let_in(rush: Rush) -> bool:
    return set(rush.statuses) == {200}


def as_many_as_their_shares_are(rush: Rush) -> bool:
    """In each second that the store was away; what was in hand may be spent in the first."""
    seconds, in_hand = int(HANG) - 1, 10 * SHARE
    return set(rush.problems) == {"ledger_down"} and SHARE * seconds <= rush.admitted <= SHARE * (seconds + 3) + in_hand


@pytest.mark.alone
@pytest.mark.parametrize(
    ("four", "as_planned"),
    [
        pytest.param(plans(LIMIT, "closed"), nobody_is_let_in, id="closed"),
        pytest.param(plans(LIMIT, "open"), everybody_is_let_in, id="open"),
        pytest.param(plan(f"{10 * SHARE}/second", LOCAL), as_many_as_their_shares_are, id="local"),
    ],
    indirect=["four"],
)
async def test_a_store_that_hangs(stage: Stage, forgetful: Server, four: list[Gateway], as_planned: Expect) -> None:
    token = stage.token()
    await Rush(four, token, 200, rate=400).end()
    forgetful.pause()
    async with Rush(four, token, rate=200) as rush:
        await asyncio.sleep(HANG)
    forgetful.resume()
    print(rush.told(f"store hangs for {HANG:.0f} s", LIMIT))
    assert as_planned(rush)
    assert not {401, 403, 429} & set(rush.statuses)
    assert sorted(rush.waits)[len(rush.waits) * 99 // 100] < SLOWEST + rush.lateness.of_an_answer
    await until(lambda: all_are_ready(four))

    async def all_are_let_in() -> bool:
        return (await Rush(four, token, 100).end()).statuses == {200: 100}

    await until(all_are_let_in)
