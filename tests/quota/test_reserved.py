"""Units whose cost is known when a request has ended: the same over every ledger."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from rigs.waiting import until

from gateway.model import Charge, Kind, Limit, Outcome, Over, Per, Period, Verdict
from gateway.quota.memory import MemoryLedger
from gateway.quota.store import StoreLedger

from .conftest import Gateway, World, ask, ask_all, limit

TEN = limit(10, metric="tokens", bins=(50, 100))


@pytest.fixture
async def ledger(brief: World) -> Gateway:
    return await brief.gateway()


def reserve(rule: Limit, units: int) -> Charge:
    return Charge(rule, units, reserved=True)


async def spend(ledger: Gateway, *charges: Charge, scope: str = "mobile") -> Outcome:
    return await ask(ledger, ledger.claim(scope, charges))


async def used(ledger: Gateway, rule: Limit) -> int:
    """What a limit has left, as the next request of one unit is told; it gives that back."""
    outcome = await spend(ledger, reserve(rule, 1))
    end(outcome, {})
    return rule.value - outcome.remaining - 1


def end(outcome: Outcome, usage: dict[str, int]) -> None:
    assert outcome.hold is not None
    outcome.hold.settle(usage)


async def test_what_was_not_used_comes_back(ledger: Gateway) -> None:
    first = await spend(ledger, reserve(TEN, 8))
    assert (first.verdict, first.remaining) == (Verdict.GRANTED, 2)
    end(first, {"tokens": 3})
    assert await used(ledger, TEN) == 3
    end(await spend(ledger, reserve(TEN, 7)), {"tokens": 7})
    assert (await spend(ledger, reserve(TEN, 1))).verdict is Verdict.REFUSED


async def test_what_is_not_charged_comes_back_whole_and_once(ledger: Gateway) -> None:
    first = await spend(ledger, reserve(TEN, 10))
    end(first, {})
    end(first, {})
    second = await spend(ledger, reserve(TEN, 10))
    assert second.verdict is Verdict.GRANTED
    end(second, {"tokens": 10})
    assert (await spend(ledger, reserve(TEN, 1))).verdict is Verdict.REFUSED


async def test_more_than_was_reserved_passes_the_limit(ledger: Gateway) -> None:
    end(await spend(ledger, reserve(TEN, 4)), {"tokens": 25})
    refusal = await until(lambda: refused_for_good(ledger, TEN))
    assert refusal.remaining == 0


async def refused_for_good(ledger: Gateway, rule: Limit) -> Outcome | None:
    outcome = await spend(ledger, reserve(rule, 1))
    assert outcome.verdict is Verdict.REFUSED
    return None if outcome.retry_after == 1 else outcome


async def test_who_might_fit_when_others_have_ended_is_told_to_come_back_soon(ledger: Gateway) -> None:
    first = await spend(ledger, reserve(TEN, 8))
    refusal = await spend(ledger, reserve(TEN, 3))
    assert (refusal.verdict, refusal.retry_after, refusal.elsewhere) == (Verdict.REFUSED, 1, True)
    end(first, {"tokens": 8})
    refusal = await until(lambda: refused_for_good(ledger, limit(8, metric="tokens")))
    assert refusal.retry_after == 60 and not refusal.elsewhere


async def test_a_request_that_waits_gets_what_comes_back(brief: World) -> None:
    if isinstance(ledger := await brief.gateway(), MemoryLedger):
        return  # nobody waits there
    first = await spend(ledger, reserve(TEN, 8))
    second = asyncio.ensure_future(spend(ledger, reserve(TEN, 8)))
    await asyncio.sleep(0.05)
    assert not second.done()
    end(first, {"tokens": 2})
    assert (await second).verdict is Verdict.GRANTED


async def test_what_comes_back_as_a_call_is_made_is_reported_once(brief: World) -> None:
    """It lets in who waits, after which so little is in hand that more is asked for: by that call, not by a second."""
    if isinstance(ledger := await brief.gateway(), MemoryLedger):
        return  # it makes none
    thousand = limit(1000, metric="tokens")
    first = await spend(ledger, reserve(thousand, 100))
    ((meter, _),) = ledger.claim("mobile", (reserve(thousand, 60),)).firm
    meter.counter.low = 50
    second = asyncio.ensure_future(spend(ledger, reserve(thousand, 60)))
    await asyncio.sleep(0)  # it waits for the store, which has yet to be called
    assert meter.counter.scope.waiting
    end(first, {"tokens": 20})
    end(await second, {"tokens": 10})
    await until(lambda: is_settled(ledger))
    assert await used(ledger, thousand) == 30


async def is_settled(ledger: StoreLedger) -> bool:
    return not ledger.owes


async def test_alerts_hear_of_what_was_used(brief: World) -> None:
    ledger = await brief.gateway()
    first, second = await spend(ledger, reserve(TEN, 5)), await spend(ledger, reserve(TEN, 5))
    end(first, {"tokens": 4})
    assert await brief.alerts() == []
    end(second, {"tokens": 12})
    assert [(alert.bin, alert.spent) for alert in await brief.alerts()] == [(50, 16), (100, 16)]


async def test_a_window_that_ended_meanwhile_is_settled_by_itself(brief: World) -> None:
    ledger = await brief.gateway()
    before, lavish = await spend(ledger, reserve(TEN, 5)), await spend(ledger, reserve(TEN, 5))
    await brief.advance(60)
    end(await spend(ledger, reserve(TEN, 10)), {"tokens": 9})
    end(before, {})
    end(lavish, {"tokens": 50})
    assert (await spend(ledger, reserve(TEN, 2))).verdict is Verdict.REFUSED
    assert await used(ledger, TEN) == 9


async def test_limits_that_only_count_learn_the_cost_too(brief: World) -> None:
    ledger = await brief.gateway()
    soft = limit(10, metric="tokens", over=Over.ALLOW, bins=(100, 200))
    first = await spend(ledger, reserve(soft, 19))
    second = await spend(ledger, reserve(soft, 100))
    end(first, {"tokens": 11})
    assert [alert.bin for alert in await brief.alerts()] == [100]
    end(second, {})
    assert [alert.bin for alert in await brief.alerts()] == [100]
    end(await spend(ledger, reserve(soft, 1)), {"tokens": 9})
    assert [(alert.bin, alert.spent) for alert in await brief.alerts()] == [(100, 11), (200, 20)]


async def test_beside_what_is_known_at_once_and_permits(ledger: Gateway) -> None:
    hits, permit = limit(3), limit(1, metric="calls", kind=Kind.CONCURRENT, period=Period.ETERNITY)
    charges = (Charge(hits, 1), reserve(TEN, 5), Charge(permit, 1))
    first = await spend(ledger, *charges)
    assert (await spend(ledger, *charges)).limit == permit
    end(first, {})
    second = await spend(ledger, *charges)
    end(second, {"tokens": 5, "hits": 1, "calls": 1})
    third = await spend(ledger, *charges)
    end(third, {"tokens": 5})
    assert [one.verdict for one in (first, second, third)] == ["granted"] * 3
    assert (await spend(ledger, Charge(hits, 1))).limit == hits  # of which the cost was known


async def test_a_rate_goes_by_what_was_reserved(ledger: Gateway) -> None:
    rate = limit(1, metric="tokens", kind=Kind.RATE, burst=10, period=Period.HOUR)
    outcome = await spend(ledger, Charge(rate, 10, reserved=True))
    assert outcome.hold is None
    assert (await spend(ledger, Charge(rate, 1, reserved=True))).verdict is Verdict.REFUSED


async def test_of_a_user_and_of_all_together(ledger: Gateway) -> None:
    user, account = limit(6, metric="tokens", per=Per.USER), limit(10, metric="tokens", per=Per.ACCOUNT)

    async def by(name: str, units: int) -> Outcome:
        others: Any = ("account:acme", (reserve(account, units),))
        return await ask(ledger, ledger.claim(f"user:mobile/{name}", (reserve(user, units),), others))

    alice, bob = await by("alice", 6), await by("bob", 4)
    assert (await by("carol", 1)).limit == account
    end(alice, {"tokens": 1})
    end(bob, {})
    carol = await until(lambda: let_in(by("carol", 6)))
    end(carol, {"tokens": 6})
    assert (await by("alice", 6)).limit in (user, account)
    assert (await until(lambda: let_in(by("alice", 3)))).verdict is Verdict.GRANTED


async def let_in(asked: Any) -> Outcome | None:
    outcome: Outcome = await asked
    return outcome if outcome.verdict is Verdict.GRANTED else None


async def test_many_gateways_charge_exactly_what_was_used(brief: World) -> None:
    """Each uses 3 of the 7 that it reserves, until all is used."""
    gateways = [await brief.gateway() for _ in range(3)]
    rule = limit(100, metric="tokens")
    charged = 0
    while not await over(gateways[0], rule, 7):
        for outcome in await ask_all(gateways, 9, "mobile", reserve(rule, 7)):
            if outcome.verdict is Verdict.GRANTED:
                end(outcome, {"tokens": 3})
                charged += 3
        await brief.advance(0.1)  # a refusal is believed for a moment
    assert charged == 96  # 7 more would not fit, and 3 more would have fitted before


async def over(ledger: Gateway, rule: Limit, units: int) -> bool:
    outcome = await spend(ledger, reserve(rule, units))
    if outcome.verdict is Verdict.GRANTED:
        end(outcome, {})
    return outcome.verdict is Verdict.REFUSED and outcome.retry_after != 1


async def test_a_cell_stays_while_a_request_is_under_way(brief: World) -> None:
    """However long it takes."""
    ledger = await brief.gateway()
    if not isinstance(ledger, StoreLedger):
        return
    first = await spend(ledger, reserve(TEN, 8))
    await asyncio.sleep(0.2)  # twenty looks
    assert [counter.place >= 0 for counter in ledger._leases.counters] == [True]
    end(first, {"tokens": 1})
    assert await used(ledger, TEN) == 1
    await until(lambda: nothing_kept(ledger))


async def nothing_kept(ledger: StoreLedger) -> bool:
    return not ledger._leases.counters
