"""What every ledger promises: the same tests over memory, Redis, Valkey and the embedded store."""

from __future__ import annotations

from collections import Counter
from datetime import datetime

import pytest

from gateway.model import Charge, Outcome, Over, Period, Verdict
from gateway.quota.counters import LARGEST

from .conftest import MONDAY, Gateway, World, ask, ask_all, limit


def verdicts(outcomes: list[Outcome]) -> Counter[str]:
    return Counter(outcome.verdict for outcome in outcomes)


async def spend(ledger: Gateway, scope: str, *charges: Charge) -> Outcome:
    return await ask(ledger, ledger.claim(scope, charges))


async def test_requests_pass_until_the_limit(ledger: Gateway) -> None:
    two = limit(2)
    claim = ledger.claim("mobile", (Charge(two, 1),))
    end = MONDAY + 60
    assert await ask(ledger, claim) == Outcome(Verdict.GRANTED, two, 1, end)
    assert await ask(ledger, claim) == Outcome(Verdict.GRANTED, two, 0, end)
    assert await ask(ledger, claim) == Outcome(Verdict.REFUSED, two, 0, end, 60)


async def test_the_wait_is_in_whole_seconds_and_reaches_the_end_of_the_window(world: World) -> None:
    ledger = await world.gateway()
    none_left = ledger.claim("mobile", (Charge(limit(0), 0),))
    assert (await ask(ledger, none_left)).verdict is Verdict.GRANTED  # what costs nothing
    await world.advance(12.25)
    one = Charge(limit(1), 1)
    assert (await spend(ledger, "mobile", one)).verdict is Verdict.GRANTED
    refusal = await spend(ledger, "mobile", one)
    assert (refusal.retry_after, refusal.resets_at) == (48, MONDAY + 60)


async def test_gateways_never_admit_more_than_the_limit(world: World) -> None:
    gateways = [await world.gateway() for _ in range(4)]
    outcomes = await ask_all(gateways, 400, "mobile", Charge(limit(150), 1))
    assert verdicts(outcomes) == {"granted": 150, "refused": 250}


async def test_all_limits_or_none(ledger: Gateway) -> None:
    hour, day = limit(5, period=Period.HOUR), limit(3, period=Period.DAY)
    outcomes = await ask_all([ledger], 10, "mobile", Charge(hour, 1), Charge(day, 1))
    assert verdicts(outcomes) == {"granted": 3, "refused": 7}
    assert {outcome.limit for outcome in outcomes if outcome.verdict is Verdict.REFUSED} == {day}
    assert (await spend(ledger, "mobile", Charge(hour, 1))).remaining == 1  # 3 + 1 spent: refusals took nothing


async def test_many_shapes_at_once_stay_exact(world: World) -> None:
    gateways = [await world.gateway() for _ in range(2)]
    hits, writes = limit(60), limit(20, metric="writes")
    reads = await ask_all(gateways, 1, "mobile", Charge(hits, 1))
    both = await ask_all(gateways, 50, "mobile", Charge(hits, 2), Charge(writes, 1))
    more = await ask_all(gateways, 50, "mobile", Charge(hits, 1))
    assert verdicts(reads + both) == {"granted": 21, "refused": 30}  # 20 writes, of two hits each
    assert verdicts(more) == {"granted": 19, "refused": 31}


async def test_a_parents_limit_holds_for_its_children(ledger: Gateway) -> None:
    hits, writes = limit(3), limit(2, metric="writes")
    write, read = (Charge(hits, 1), Charge(writes, 1)), (Charge(hits, 1),)
    assert (await spend(ledger, "mobile", *write)).limit == writes  # the scarcest: 1 of 2 is less than 2 of 3
    assert (await spend(ledger, "mobile", *write)).verdict is Verdict.GRANTED
    assert (await spend(ledger, "mobile", *write)).limit == writes
    assert (await spend(ledger, "mobile", *read)).verdict is Verdict.GRANTED
    assert (await spend(ledger, "mobile", *read)).limit == hits


async def test_weights(ledger: Gateway) -> None:
    budget = limit(25)
    granted = [(await spend(ledger, "mobile", Charge(budget, cost))).verdict for cost in (10, 10, 10, 5, 1)]
    assert granted == ["granted", "granted", "refused", "granted", "refused"]


async def test_a_refusal_of_much_leaves_room_for_little(world: World) -> None:
    ledger = await world.gateway()
    budget = limit(10)
    assert (await spend(ledger, "mobile", Charge(budget, 8))).verdict is Verdict.GRANTED
    for _ in range(2):
        assert (await spend(ledger, "mobile", Charge(budget, 3))).verdict is Verdict.REFUSED
    assert (await spend(ledger, "mobile", Charge(budget, 2))).verdict is Verdict.GRANTED


async def test_a_cost_above_the_limit_never_fits(ledger: Gateway) -> None:
    small = limit(5)
    refusal = await spend(ledger, "mobile", Charge(small, 6))
    assert refusal == Outcome(Verdict.REFUSED, small, 5, MONDAY + 60, None)


async def test_the_refusal_that_lasts_longest_is_told(ledger: Gateway) -> None:
    minute, day = limit(1), limit(1, period=Period.DAY)
    both = (Charge(minute, 1), Charge(day, 1))
    assert (await spend(ledger, "mobile", *both)).verdict is Verdict.GRANTED
    refusal = await spend(ledger, "mobile", *both)
    assert (refusal.limit, refusal.retry_after) == (day, 12 * 3600)


async def test_the_scarcest_limit_is_told(ledger: Gateway) -> None:
    minute, day = limit(4), limit(1000, period=Period.DAY)
    outcome = await spend(ledger, "mobile", Charge(day, 1), Charge(minute, 1))
    assert (outcome.limit, outcome.remaining) == (minute, 3)


async def test_without_charges_nothing_is_counted(ledger: Gateway) -> None:
    assert await spend(ledger, "mobile") == Outcome(Verdict.GRANTED)


async def test_eternity_never_resets(world: World) -> None:
    ledger = await world.gateway()
    trial = limit(1, period=Period.ETERNITY)
    assert await spend(ledger, "mobile", Charge(trial, 1)) == Outcome(Verdict.GRANTED, trial, 0, None)
    await world.advance(50 * 365 * 86_400)
    assert await spend(ledger, "mobile", Charge(trial, 1)) == Outcome(Verdict.REFUSED, trial, 0, None, None)


async def test_a_new_window_starts_empty(world: World) -> None:
    gateways = [await world.gateway() for _ in range(2)]
    for _ in range(3):
        outcomes = await ask_all(gateways, 10, "mobile", Charge(limit(4), 1))
        assert verdicts(outcomes) == {"granted": 4, "refused": 6}
        await world.advance(60)


async def test_only_the_windows_that_ended_start_again(world: World) -> None:
    ledger = await world.gateway()
    charges = (Charge(limit(2), 1), Charge(limit(3, period=Period.HOUR), 1))
    assert verdicts(await ask_all([ledger], 5, "mobile", *charges)) == {"granted": 2, "refused": 3}
    await world.advance(60)
    assert verdicts(await ask_all([ledger], 5, "mobile", *charges)) == {"granted": 1, "refused": 4}


async def test_a_day_ends_at_midnight_in_its_zone(world: World) -> None:
    ledger = await world.gateway()
    local = limit(1, period=Period.DAY, zone="Asia/Kathmandu")  # 17:45 there
    outcome = await spend(ledger, "mobile", Charge(local, 1))
    assert outcome.resets_at == datetime.fromisoformat("2100-01-05T00:00+05:45").timestamp()
    await world.advance(6.25 * 3600 - 1)
    assert (await spend(ledger, "mobile", Charge(local, 1))).retry_after == 1
    await world.advance(1)
    assert (await spend(ledger, "mobile", Charge(local, 1))).verdict is Verdict.GRANTED


@pytest.mark.parametrize("other", ["Mobile", "mobile/x", "mobile}", "mobile:gold", "2001:db8::1", "jörg", "m" * 5000])
async def test_scopes_are_apart(ledger: Gateway, other: str) -> None:
    one = Charge(limit(1), 1)
    assert (await spend(ledger, "mobile", one)).verdict is Verdict.GRANTED
    assert (await spend(ledger, other, one)).verdict is Verdict.GRANTED
    assert (await spend(ledger, other, one)).verdict is Verdict.REFUSED


async def test_limits_of_different_rules_have_counters_of_their_own(ledger: Gateway) -> None:
    rules: list[dict[str, object]] = [
        {},
        {"plan": "free"},
        {"service": "orders"},
        {"metric": "writes"},
        {"period": Period.HOUR},
        {"period": Period.DAY},
        {"period": Period.DAY, "zone": "Europe/Berlin"},
    ]
    for rule in rules:
        assert (await spend(ledger, "mobile", Charge(limit(1, **rule), 1))).verdict is Verdict.GRANTED
    for rule in rules:
        assert (await spend(ledger, "mobile", Charge(limit(1, **rule), 1))).verdict is Verdict.REFUSED


async def test_an_edited_value_keeps_the_usage(ledger: Gateway) -> None:
    assert verdicts(await ask_all([ledger], 10, "mobile", Charge(limit(8), 1))) == {"granted": 8, "refused": 2}
    assert verdicts(await ask_all([ledger], 10, "mobile", Charge(limit(11), 1))) == {"granted": 3, "refused": 7}
    refusal = await spend(ledger, "mobile", Charge(limit(5), 1))
    assert (refusal.verdict, refusal.remaining) == (Verdict.REFUSED, 0)


async def test_two_versions_of_a_plan_side_by_side(ledger: Gateway) -> None:
    old, new = (ledger.claim("mobile", (Charge(limit(value), 1),)) for value in (3, 5))
    outcomes = [await ask(ledger, claim) for claim in (old, new, old, new, old, new, old, new)]
    assert [outcome.verdict == "granted" for outcome in outcomes] == [True, True, True, True, False, True, False, False]


async def test_what_costs_nothing_passes(ledger: Gateway) -> None:
    """Also over a limit that has been lowered: 3scale would refuse there what uses nothing of it."""
    await spend(ledger, "mobile", Charge(limit(5), 5))
    assert (await spend(ledger, "mobile", Charge(limit(5), 0))).verdict is Verdict.GRANTED
    assert (await spend(ledger, "mobile", Charge(limit(4), 0))).verdict is Verdict.GRANTED


async def test_counts_are_exact_up_to_2_to_the_53(ledger: Gateway) -> None:
    huge = limit(LARGEST, period=Period.ETERNITY)
    assert (await spend(ledger, "mobile", Charge(huge, LARGEST - 3))).remaining == 3
    assert verdicts(await ask_all([ledger], 5, "mobile", Charge(huge, 1))) == {"granted": 3, "refused": 2}


@pytest.mark.parametrize("charge", [Charge(limit(5), -1), Charge(limit(5), LARGEST + 1), Charge(limit(-1), 1)])
async def test_what_cannot_be_counted_exactly_is_refused(ledger: Gateway, charge: Charge) -> None:
    with pytest.raises(ValueError, match="between 0 and 2"):
        ledger.claim("mobile", (charge,))


async def test_two_limits_on_one_counter_are_refused(ledger: Gateway) -> None:
    with pytest.raises(ValueError, match="share one counter"):
        ledger.claim("mobile", (Charge(limit(5), 1), Charge(limit(7), 1)))


# --- limits that never refuse -----------------------------------------------------------------------


async def test_over_allow_counts_on_and_never_waits(world: World) -> None:
    ledger = await world.gateway()
    soft = limit(2, over=Over.ALLOW, bins=(100, 150))
    claim = ledger.claim("mobile", (Charge(soft, 1),))
    remaining = []
    for _ in range(3):
        outcome = ledger.consume(claim, lambda _: pytest.fail("answered later"))
        assert outcome is not None
        assert outcome.verdict is Verdict.GRANTED
        remaining.append(outcome.remaining)
    assert remaining == [1, 0, 0]
    assert [alert.bin for alert in await world.alerts()] == [100, 150]


async def test_over_allow_counts_only_what_other_limits_admit(world: World) -> None:
    ledger = await world.gateway()
    firm, soft = limit(4), limit(8, period=Period.HOUR, over=Over.ALLOW, bins=(50, 60))
    outcomes = await ask_all([ledger], 10, "mobile", Charge(firm, 1), Charge(soft, 1))
    assert verdicts(outcomes) == {"granted": 4, "refused": 6}
    assert {outcome.limit for outcome in outcomes} == {firm}
    assert [(alert.bin, alert.spent) for alert in await world.alerts()] == [(50, 4)]


async def test_what_was_counted_before_the_window_ended_belongs_to_it(world: World) -> None:
    ledger = await world.gateway()
    soft = Charge(limit(2, over=Over.ALLOW, bins=(100, 200)), 1)
    await ask_all([ledger], 2, "mobile", soft)
    await world.advance(60)
    await ask_all([ledger], 2, "mobile", soft)
    alerts = await world.alerts()
    assert sorted((alert.bin, alert.window_start - MONDAY) for alert in alerts) == [(100, 0), (100, 60)]


async def test_gateways_add_up_what_they_allow(world: World) -> None:
    gateways = [await world.gateway() for _ in range(3)]
    soft = Charge(limit(30, over=Over.ALLOW, bins=(80, 100, 120)), 1)
    assert verdicts(await ask_all(gateways, 30, "mobile", soft)) == {"granted": 30}
    assert sorted(alert.bin for alert in await world.alerts()) == [80, 100]


async def test_a_limit_in_shadow_tells_what_it_would_have_refused(ledger: Gateway) -> None:
    """And clients hear of the others alone."""
    firm, shadow = limit(5), limit(2, period=Period.HOUR, over=Over.ALLOW, shadow=True)
    outcomes = [await spend(ledger, "mobile", Charge(firm, 1), Charge(shadow, 1)) for _ in range(6)]
    assert [outcome.shadow for outcome in outcomes] == [None, None, shadow, shadow, shadow, None]
    assert {outcome.limit for outcome in outcomes} == {firm}
    assert verdicts(outcomes) == {"granted": 5, "refused": 1}
    alone = await spend(ledger, "mobile", Charge(shadow, 1))
    assert (alone.verdict, alone.limit, alone.shadow) == (Verdict.GRANTED, None, shadow)


async def test_requests_at_once_are_told_apart_by_a_limit_in_shadow(ledger: Gateway) -> None:
    shadow = limit(3, period=Period.HOUR, over=Over.ALLOW, shadow=True)
    outcomes = await ask_all([ledger], 10, "mobile", Charge(limit(8), 1), Charge(shadow, 1))
    assert verdicts(outcomes) == {"granted": 8, "refused": 2}
    assert sum(outcome.shadow is shadow for outcome in outcomes) == 5
