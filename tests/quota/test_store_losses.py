"""A store that forgets: processes tell it what they remember, and no limit is passed."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
from rigs.faults import FaultyProxy
from rigs.ledgers import FENCE, Load, all_of, ask, client, gateway, given_up, units, until_granted, verdicts, yearly
from rigs.stores import Server, binary_of
from rigs.waiting import until

from gateway.model import Charge, Over
from gateway.quota import watch
from gateway.quota.store import StoreLedger

from .conftest import ask_all

pytestmark = pytest.mark.redis

LOSING: Any = {"durable": False, "look": 0.05}
LIMIT = yearly(3_000, bins=(50, 100))


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks at the store's epoch are as frequent, compared to the time of the fence, as they are by default."""
    monkeypatch.setattr(watch, "LOOK", FENCE / 5)


@pytest.fixture(params=["redis", "valkey"])
def forgetful(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that writes nothing to its disk."""
    server = Server(binary_of(request.param), tmp_path_factory.mktemp(request.param)).start()
    yield server
    server.close()


@pytest.fixture
async def three(forgetful: Server) -> AsyncIterator[list[StoreLedger]]:
    async with AsyncExitStack() as stack:
        gateways = [gateway(forgetful.url, **LOSING, timeout=0.1) for _ in range(3)]
        yield [await stack.enter_async_context(made) for made in gateways]


async def until_open(ledgers: list[StoreLedger]) -> None:
    """Each has noticed that something was lost, and the fence is open."""
    noticed = dict.fromkeys(ledgers, False)

    def all_noticed() -> bool:
        for ledger in ledgers:
            noticed[ledger] |= ledger.down or ledger.fenced
        return all(noticed.values())

    await until(all_noticed)
    await until(lambda: not any(ledger.down or ledger.fenced for ledger in ledgers))


# --- once ---------------------------------------------------------------------------------------------------


async def test_a_store_that_may_be_new_lets_nobody_in_for_a_moment(forgetful: Server) -> None:
    async with gateway(forgetful.url, **LOSING) as first:  # waits for that
        await until_granted(first, Charge(LIMIT, 1))
        async with client(forgetful.url) as redis:
            await redis.flushall()
        await until(lambda: first.fenced)
        began = time.monotonic()
        assert verdicts(await ask_all([first], 3, "mobile", Charge(LIMIT, 2_999))) == {"unavailable": 3}
        await until_granted(first, Charge(LIMIT, 1))
        assert time.monotonic() - began < FENCE + 1


@pytest.mark.alone
async def test_what_one_process_remembers_counts_for_all(forgetful: Server, three: list[StoreLedger]) -> None:
    claim = three[0].claim("mobile", (Charge(LIMIT, 100),))
    assert [(await ask(three[0], claim)).verdict for _ in range(20)] == ["granted"] * 20
    forgetful.restart()
    await until_open(three)
    assert 2_000 + await all_of(three[1], LIMIT) == 3_000


@pytest.mark.alone
async def test_who_holds_units_goes_on_with_them(forgetful: Server, three: list[StoreLedger]) -> None:
    async with Load(three[:1], Charge(LIMIT, 1), rate=1_000) as load:
        await asyncio.sleep(0.4)
        forgetful.kill()
        before = load.granted
        await asyncio.sleep(0.1)
    assert load.granted > before
    forgetful.start()
    await until_open(three)
    assert 3_000 - 100 <= load.granted + await all_of(three[1], LIMIT) <= 3_000


async def test_a_bin_is_not_raised_again_under_another_id(forgetful: Server, three: list[StoreLedger]) -> None:
    """What is told once more after a loss, as it may not have been delivered, is the same alert."""
    await until_granted(three[0], Charge(LIMIT, 1_600))
    async with client(forgetful.url) as redis:
        (first,) = await alerts(redis)
        await redis.flushall()
        await until_open(three)
        for ledger in three:
            await until_granted(ledger, Charge(LIMIT, 1))
        assert await alerts(redis) <= {first}


async def alerts(redis: Any) -> set[str]:
    return {json.loads(fields["alert"])["id"] for _, fields in await redis.xrange("gw:outbox")}


async def test_what_is_only_counted_is_told_again(forgetful: Server, three: list[StoreLedger]) -> None:
    soft = Charge(yearly(10, over=Over.ALLOW), 1)
    assert verdicts(await ask_all(three, 30, "mobile", soft)) == {"granted": 30}
    await until(lambda: not any(ledger.owes for ledger in three))
    forgetful.restart()
    await until_open(three)
    assert verdicts(await ask_all(three, 3, "mobile", soft)) == {"granted": 3}
    async with client(forgetful.url) as redis:
        await until(lambda: not any(ledger.owes for ledger in three))
        assert await units(redis) == (33, 0)


async def test_a_late_process_still_tells(forgetful: Server, tmp_path: object) -> None:
    """It was cut off while the fence was closed: over by at most what nobody else knew, and all is counted then."""
    async with (
        FaultyProxy(forgetful.socket, forgetful.folder / "p") as proxy,
        gateway(forgetful.url, **LOSING) as other,
        gateway(proxy.url, **LOSING) as late,
    ):
        assert verdicts(await ask_all([other], 1, "mobile", Charge(LIMIT, 500))) == {"granted": 1}
        assert verdicts(await ask_all([late], 1, "mobile", Charge(LIMIT, 700))) == {"granted": 1}
        proxy.refusing = True
        proxy.sever()
        forgetful.restart()
        await until_granted(other, Charge(LIMIT, 100))
        proxy.refusing = False
        await until_open([late])
        async with client(forgetful.url) as redis:
            await until(lambda: is_spent(redis, 1_300))


async def is_spent(redis: Any, amount: int) -> bool:
    return (await units(redis))[0] == amount


@pytest.mark.slow
async def test_what_is_given_up_is_told_at_its_most(
    forgetful: Server, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A grant whose answer was lost, which another process saw and remembers: nobody has it, nor knows that."""
    caplog.set_level(logging.WARNING)
    async with (
        FaultyProxy(forgetful.socket, forgetful.folder / "p") as proxy,
        gateway(forgetful.url, **LOSING) as other,
        gateway(proxy.url, **LOSING) as unheard,
    ):
        async with Load([unheard], Charge(LIMIT, 1), rate=1_000) as load:
            await asyncio.sleep(0.3)
            monkeypatch.setattr(watch, "LOOK", 5)  # what is lost is a call
            proxy.losing = True
            await until(lambda: proxy.lost)
        await until_granted(other, Charge(LIMIT, 1))
        monkeypatch.setattr(watch, "LOOK", FENCE / 5)
        async with client(forgetful.url) as redis:
            held = (await units(redis))[1]
        forgetful.ask("FLUSHALL")
        await until(lambda: other.fenced)
        proxy.losing = False
        await until(lambda: not (other.fenced or unheard.fenced or unheard.down))
        granted = load.granted + 1 + await all_of(other, LIMIT, seconds=2)
        granted += await all_of(unheard, LIMIT, seconds=2)
        told = given_up(caplog.text)
        print(f"\n{granted} of 3000 admitted, {held} were held, {told} units given up")
        assert 3_000 - told <= granted < 3_000


# --- under load -------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.parametrize("loss", ["kill", "flush"])
async def test_a_store_that_forgets_twice_under_load(
    forgetful: Server, three: list[StoreLedger], loss: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Never above the limit; all of it is usable in the end, but what belonged to calls that were not answered."""
    caplog.set_level(logging.WARNING)
    async with Load(three, Charge(LIMIT, 1), rate=400) as load:
        for _ in range(2):
            await asyncio.sleep(0.4)
            if loss == "kill":
                await asyncio.to_thread(forgetful.kill)
                await asyncio.sleep(0.1)
                await asyncio.to_thread(forgetful.start)
            else:
                forgetful.ask("FLUSHALL")
            await asyncio.sleep(0.05)
            await until_open(three)
            assert load.granted <= 3_000
        await asyncio.sleep(0.3)
    granted = load.granted
    for ledger in three:
        granted += await all_of(ledger, LIMIT, seconds=3)
    lost = given_up(caplog.text)
    print(f"\n{loss}: {granted} of 3000 admitted, {lost} units given up, longest wait {load.longest * 1000:.0f} ms")
    assert 3_000 - lost <= granted <= 3_000
    assert load.longest < 0.1 + 0.05 + load.lateness.of_an_answer


async def test_a_second_loss_while_the_fence_is_closed(forgetful: Server, three: list[StoreLedger]) -> None:
    for ledger in three:
        await until_granted(ledger, Charge(LIMIT, 900))
    forgetful.restart()
    await until(lambda: any(ledger.fenced for ledger in three))
    forgetful.restart()
    await until_open(three)
    assert 2_700 + sum([await all_of(ledger, LIMIT) for ledger in three]) == 3_000


async def test_a_copy_of_yesterday(forgetful: Server, three: list[StoreLedger]) -> None:
    """A store that comes back from a snapshot knows less than the processes do."""
    for ledger in three:
        await until_granted(ledger, Charge(LIMIT, 300))
    forgetful.ask("SAVE")
    for ledger in three:
        await until_granted(ledger, Charge(LIMIT, 500))
    forgetful.restart()
    await until_open(three)
    assert 2_400 + sum([await all_of(ledger, LIMIT) for ledger in three]) == 3_000
