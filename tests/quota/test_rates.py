"""Limits on how fast requests come: a token bucket, the same over every ledger."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from rigs.waiting import until

from gateway.model import Charge, Kind, Limit, Outcome, Period, Verdict

from .conftest import MONDAY, Gateway, World, ask, ask_all, limit


@pytest.fixture
async def ledger(brief: World) -> Gateway:
    return await brief.gateway()


def rate(value: int, burst: int, **fields: Any) -> Limit:
    return limit(value, **{"kind": Kind.RATE, "period": Period.SECOND, "burst": burst, **fields})


async def spend(ledger: Gateway, *charges: Charge, scope: str = "mobile") -> Outcome:
    return await ask(ledger, ledger.claim(scope, charges))


def verdicts(outcomes: list[Outcome]) -> Counter[str]:
    return Counter(outcome.verdict for outcome in outcomes)


async def later(world: World, seconds: float) -> None:
    """Let time pass when no call is under way: none may seem to take as long."""
    await world.rest()
    await world.advance(seconds)


async def test_a_burst_then_only_as_fast_as_the_rate(brief: World) -> None:
    ledger = await brief.gateway()
    ten = Charge(rate(10, 5), 1)
    outcomes = await ask_all([ledger], 8, "mobile", ten)
    assert verdicts(outcomes) == {"granted": 5, "refused": 3}
    await later(brief, 0.3)
    assert verdicts(await ask_all([ledger], 8, "mobile", ten)) == {"granted": 3, "refused": 5}


async def test_it_is_said_what_is_left_and_when_it_is_full_again(ledger: Gateway) -> None:
    slow = Charge(rate(1, 4), 1)
    first = await spend(ledger, slow)
    assert (first.limit, first.remaining) == (slow.limit, 3)
    assert first.resets_at == pytest.approx(MONDAY + 1)
    await ask_all([ledger], 3, "mobile", slow)
    refusal = await spend(ledger, slow)
    assert (refusal.verdict, refusal.remaining, refusal.retry_after) == (Verdict.REFUSED, 0, 1)
    assert refusal.resets_at == pytest.approx(MONDAY + 1)


async def test_it_is_said_how_long_to_wait(ledger: Gateway) -> None:
    slow = rate(6, 3, period=Period.MINUTE)
    assert (await spend(ledger, Charge(slow, 3))).verdict is Verdict.GRANTED
    refusal = await spend(ledger, Charge(slow, 2))
    assert (refusal.retry_after, refusal.resets_at) == (20, pytest.approx(MONDAY + 20))


async def test_more_than_the_burst_never_passes(ledger: Gateway) -> None:
    refusal = await spend(ledger, Charge(rate(100, 5), 6))
    assert (refusal.verdict, refusal.retry_after) == (Verdict.REFUSED, None)


async def test_many_gateways_share_a_bucket(brief: World) -> None:
    gateways = [await brief.gateway() for _ in range(3)]
    ten = Charge(rate(10, 30), 1)
    assert verdicts(await ask_all(gateways, 60, "mobile", ten)) == {"granted": 30, "refused": 30}
    await later(brief, 1)
    outcomes = await ask_all(gateways, 40, "mobile", ten)
    assert verdicts(outcomes) == {"granted": 10, "refused": 30}


async def test_tokens_that_are_in_hand_are_not_in_the_bucket_too(brief: World) -> None:
    """Or more than the burst would pass: what one has leased, and a full bucket."""
    one, other = [await brief.gateway() for _ in range(2)]
    hundred = Charge(rate(1000, 100), 1)
    before = verdicts(await ask_all([one], 60, "mobile", hundred))
    await later(brief, 1)
    after = verdicts(await ask_all([one, other], 300, "mobile", hundred))
    assert before == {"granted": 60}
    assert 90 <= after["granted"] <= 100


async def test_what_one_gateway_has_no_use_for_is_another_ones(brief: World) -> None:
    one, other = [await brief.gateway() for _ in range(2)]
    slow = Charge(rate(1, 100, period=Period.DAY), 1)
    assert verdicts(await ask_all([one], 20, "mobile", slow)) == {"granted": 20}
    granted = 0

    async def all_of_them() -> bool:
        nonlocal granted
        granted += verdicts(await ask_all([other], 10, "mobile", slow))["granted"]
        return granted == 80

    await until(all_of_them)
    assert verdicts(await ask_all([one, other], 10, "mobile", slow)) == {"refused": 10}


async def test_what_a_window_refuses_takes_no_token(ledger: Gateway) -> None:
    one, two = Charge(limit(1), 1), Charge(rate(1, 2, period=Period.DAY), 1)
    assert (await spend(ledger, one, two)).limit == one.limit
    assert (await spend(ledger, one, two)).limit == one.limit
    assert (await spend(ledger, two)).verdict is Verdict.GRANTED
    assert (await spend(ledger, two)).verdict is Verdict.REFUSED


async def test_what_is_too_fast_takes_nothing_of_the_window(brief: World) -> None:
    ledger = await brief.gateway()
    day, slow = Charge(limit(2, period=Period.DAY), 1), Charge(rate(1, 1), 1)
    assert (await spend(ledger, day, slow)).verdict is Verdict.GRANTED
    assert (await spend(ledger, day, slow)).limit == slow.limit
    await later(brief, 1)
    assert (await spend(ledger, day, slow)).verdict is Verdict.GRANTED
    await later(brief, 1)
    assert (await spend(ledger, day, slow)).limit == day.limit


async def test_another_burst_holds_for_what_comes(brief: World) -> None:
    ledger = await brief.gateway()
    assert verdicts(await ask_all([ledger], 5, "mobile", Charge(rate(10, 5), 1))) == {"granted": 5}
    await later(brief, 10)
    assert verdicts(await ask_all([ledger], 9, "mobile", Charge(rate(10, 3), 1))) == {"granted": 3, "refused": 6}
