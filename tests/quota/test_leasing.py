"""Leases at work: what is answered from units in hand, when the store is asked, and how units come back."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from rigs.ledgers import TIMEOUT, Load, all_of, ask, client, gateway, lease, never, units, verdicts, yearly
from rigs.waiting import until

from gateway.model import Charge, Limit, Over, Period, Verdict

from .conftest import Server, ask_all

pytestmark = pytest.mark.redis

PLENTY = yearly(1_000_000)


# --- what is in hand ------------------------------------------------------------------------------------


async def test_what_is_in_hand_is_let_in_at_once_and_nobody_is_asked(server: Server) -> None:
    async with gateway(server.url) as ledger:
        claim = await lease(ledger, PLENTY)
        server.pause()
        calls, some = ledger.calls, ledger.in_hand // 2
        outcomes = [ledger.consume(claim, never) for _ in range(some)]
        assert {outcome and outcome.verdict for outcome in outcomes} == {Verdict.GRANTED}
        assert ledger.calls == calls
        server.resume()


@pytest.mark.slow
async def test_a_slow_applications_request_costs_one_call_and_leases_nothing(server: Server) -> None:
    async with gateway(server.url) as ledger, client(server.url) as redis:
        for requests in (1, 2):
            calls = ledger.calls
            assert verdicts(await ask_all([ledger], 1, "mobile", Charge(PLENTY, 1))) == {"granted": 1}
            assert ledger.calls - calls == 1
            assert await units(redis) == (requests, 0)
            await asyncio.sleep(1.1)


async def test_a_busy_application_has_a_tenth_of_a_second_of_its_traffic(server: Server) -> None:
    rate, held = 2_000, []
    async with gateway(server.url) as ledger, client(server.url) as redis, Load([ledger], Charge(PLENTY, 1)) as load:
        load.rate = rate
        await asyncio.sleep(0.4)
        calls, requests = ledger.calls, load.granted
        for _ in range(10):
            held.append((await units(redis))[1])
            await asyncio.sleep(0.05)
        per_request = (ledger.calls - calls) / (load.granted - requests)
    print(f"\nat {rate} requests a second up to {max(held)} units are held, {per_request:.4f} calls a request")
    assert 50 <= max(held) <= 0.25 * rate
    assert per_request < 0.03


async def test_more_is_leased_before_there_is_none(server: Server) -> None:
    async with gateway(server.url) as ledger:
        claim = await lease(ledger, PLENTY)
        while ledger.in_hand > 5:
            assert ledger.consume(claim, never)
        await until(lambda: ledger.in_hand > 20)  # and nobody waited


async def test_a_cost_above_what_is_in_hand_takes_that_along(server: Server) -> None:
    async with gateway(server.url) as ledger, client(server.url) as redis:
        limit = yearly(1_000)
        await lease(ledger, limit)
        spent, held = await units(redis)
        rest = 1_000 - spent - held + ledger.in_hand
        assert held >= ledger.in_hand > 0
        assert (await ask(ledger, ledger.claim("mobile", (Charge(limit, rest),)))).verdict is Verdict.GRANTED
        assert await units(redis) == (1_000, 0)


# --- calls ------------------------------------------------------------------------------------------------


async def test_requests_that_wait_together_share_a_call(server: Server) -> None:
    async with gateway(server.url) as ledger:
        calls = ledger.calls
        assert verdicts(await ask_all([ledger], 64, "mobile", Charge(yearly(100), 1))) == {"granted": 64}
        assert ledger.calls - calls == 1


async def test_scopes_that_wait_together_share_a_round_trip(server: Server) -> None:
    trips: list[bool] = []
    async with gateway(server.url, timeout=5, on_call=lambda seconds, ok: trips.append(ok)) as ledger:
        claims = [ledger.claim(f"client{number}", (Charge(yearly(1), 1),)) for number in range(100)]
        assert verdicts(await asyncio.gather(*(ask(ledger, claim) for claim in claims))) == {"granted": 100}
        assert trips == [True]


async def test_a_scope_has_one_call_under_way(server: Server) -> None:
    async with gateway(server.url, timeout=5) as ledger:
        calls = ledger.calls
        server.pause()
        waiting = []
        for _ in range(5):
            waiting.append(asyncio.ensure_future(ask_all([ledger], 3, "mobile", Charge(yearly(100), 1))))
            await asyncio.sleep(0.02)
        assert ledger.calls - calls == 1
        server.resume()
        outcomes = [outcome for asked in await asyncio.gather(*waiting) for outcome in asked]
        assert verdicts(outcomes) == {"granted": 15}
        assert ledger.calls - calls <= 3  # the second has all that came meanwhile


# --- back ---------------------------------------------------------------------------------------------------


@pytest.mark.alone
async def test_idle_units_are_back_within_a_second_and_usable_by_another(server: Server) -> None:
    limit = yearly(500)
    async with gateway(server.url) as busy, gateway(server.url) as other, client(server.url) as redis:
        await lease(busy, limit)
        stopped = time.monotonic()
        spent, _ = await units(redis)
        await until(lambda: nothing_is_held(redis), seconds=2)
        assert time.monotonic() - stopped < 1.3
        used = (await units(redis))[0]
        assert used <= spent + 50
        assert used + await all_of(other, limit) == 500


async def nothing_is_held(redis: Any) -> bool:
    return (await units(redis))[1] == 0


async def test_closing_gives_all_back(server: Server) -> None:
    async with client(server.url) as redis:
        async with gateway(server.url) as ledger:
            await lease(ledger, PLENTY)
            used = (await units(redis))[0] + (await units(redis))[1] - ledger.in_hand
        assert await units(redis) == (used, 0)


@pytest.mark.parametrize("value", [1_000_000, 300])
async def test_closing_under_load_gives_all_back(server: Server, value: int) -> None:
    """Also what is granted while it closes, and while a scope waits for others."""
    limit = yearly(value)
    async with client(server.url) as redis, gateway(server.url) as other:
        await lease(other, limit)
        async with gateway(server.url) as ledger, Load([ledger, other], Charge(limit, 1)) as load:
            await asyncio.sleep(0.3)
            await ledger.close()
        await other.close()
        spent, held = await units(redis)
        assert held == 0
        assert spent <= value
        assert spent >= load.granted


async def test_what_is_granted_while_it_closes_goes_back_too(server: Server) -> None:
    async with client(server.url) as redis, gateway(server.url) as ledger:
        claim = await lease(ledger, PLENTY)
        server.pause()
        calls = ledger.calls
        while ledger.calls == calls:  # until more is leased
            ledger.consume(claim, lambda _: None)
            await asyncio.sleep(0)
        closing = asyncio.create_task(ledger.close())
        await asyncio.sleep(0.01)
        server.resume()
        await closing
        assert (await units(redis))[1] == 0


async def test_a_scope_that_waits_for_others_gives_back_what_it_has(server: Server) -> None:
    limit, plenty = yearly(300), yearly(1_000, metric="writes")
    async with client(server.url) as redis, gateway(server.url) as holder, gateway(server.url, timeout=5) as ledger:
        await lease(holder, limit)
        both = ledger.claim("mobile", (Charge(limit, 300 - 12 - holder.in_hand), Charge(plenty, 1)))
        few = ledger.claim("mobile", (Charge(plenty, 1),))
        while not ledger.in_hand:
            await asyncio.gather(*(ask(ledger, few) for _ in range(10)))
        assert ledger.consume(both, lambda _: None) is None
        await ledger.close()
        assert (await units(redis, metric="writes"))[1] == 0


# --- several at once --------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.alone
async def test_windows_that_end_under_load_let_in_their_limit_each(server: Server) -> None:
    limit = Limit(plan="gold", period=Period.SECOND, value=120)
    async with gateway(server.url) as one, gateway(server.url) as two, client(server.url) as redis:
        async with Load([one, two], Charge(limit, 1)) as load:
            await asyncio.sleep(3.3)
        await one.close()
        await two.close()
        windows = [(await redis.get(key)).split() async for key in redis.scan_iter("gw:{mobile}:gold:*")]
        spent = [int(window[0]) for window in windows]
        print(f"\nadmitted {load.granted} in windows of {spent}")
        assert max(spent) <= 120
        assert sum(spent) == load.granted
        assert sum(count == 120 for count in spent) >= 2  # windows that were under load from start to end
        assert {int(window[1]) for window in windows} == {0}
        assert load.longest < 2 * TIMEOUT


async def test_two_values_of_one_limit_side_by_side(server: Server) -> None:
    """Two versions of a plan: each request is held to its own."""
    old, new = yearly(300), yearly(500)
    async with gateway(server.url) as one, gateway(server.url) as two:
        async with Load([one], Charge(old, 1)) as before, Load([two], Charge(new, 1)) as after:
            await until(lambda: before.granted + after.granted >= 500, seconds=5)
            await asyncio.sleep(0.1)
        assert before.granted + after.granted == 500
        assert await all_of(one, old) == await all_of(two, new) == 0


async def test_many_limits_in_one_request_are_spent_together(server: Server) -> None:
    hits, writes, soft = yearly(600), yearly(100, metric="writes"), yearly(10, metric="soft", over=Over.ALLOW)
    read, write = (Charge(hits, 1), Charge(soft, 1)), (Charge(hits, 2), Charge(writes, 1), Charge(soft, 1))
    async with gateway(server.url) as one, gateway(server.url) as two, client(server.url) as redis:
        async with Load([one, two], *write) as writing, Load([one, two], *read) as reading:
            await until(lambda: 2 * writing.granted + reading.granted >= 600, seconds=5)
        await one.close()
        await two.close()
        assert await units(redis) == (600, 0)
        assert await units(redis, metric="writes") == (writing.granted, 0)
        assert await units(redis, metric="soft") == (writing.granted + reading.granted, 0)
        assert writing.granted <= 100
