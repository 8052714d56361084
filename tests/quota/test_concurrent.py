"""Limits on how much is under way at once: the same over every ledger."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable
from typing import Any

import pytest
from rigs.waiting import until

from gateway.model import Charge, Kind, Limit, Outcome, Per, Period, Verdict
from gateway.quota.pools.meters import LIFE
from gateway.quota.store import StoreLedger

from .conftest import BRIEF, Gateway, World, ask, ask_all, limit


@pytest.fixture
async def ledger(brief: World) -> Gateway:
    return await brief.gateway()


def at_once(value: int, **fields: Any) -> Limit:
    return limit(value, kind=Kind.CONCURRENT, period=Period.ETERNITY, **fields)


async def spend(ledger: Gateway, *charges: Charge, scope: str = "mobile") -> Outcome:
    return await ask(ledger, ledger.claim(scope, charges))


def end(*outcomes: Outcome) -> None:
    """These requests have been answered."""
    for outcome in outcomes:
        if outcome.hold is not None:
            outcome.hold.settle({"hits": 1})


def verdicts(outcomes: list[Outcome]) -> Counter[str]:
    return Counter(outcome.verdict for outcome in outcomes)


async def let_in(asked: Awaitable[Outcome]) -> Outcome | None:
    outcome = await asked
    return outcome if outcome.verdict is Verdict.GRANTED else None


async def test_so_many_at_once_and_more_when_some_have_ended(ledger: Gateway) -> None:
    two = Charge(at_once(2), 1)
    first, second = await spend(ledger, two), await spend(ledger, two)
    assert (first.limit, first.remaining, second.remaining) == (two.limit, 1, 0)
    assert first.resets_at is None
    refusal = await spend(ledger, two)
    assert refusal == Outcome(Verdict.REFUSED, two.limit, 0, None, 1)
    end(first)
    third = await spend(ledger, two)
    assert third.verdict is Verdict.GRANTED
    assert (await spend(ledger, two)).verdict is Verdict.REFUSED
    end(second, third)


async def test_a_request_ends_once(ledger: Gateway) -> None:
    one = Charge(at_once(1), 1)
    first = await spend(ledger, one)
    end(first, first)
    assert (await spend(ledger, one)).verdict is Verdict.GRANTED
    assert (await spend(ledger, one)).verdict is Verdict.REFUSED


async def test_many_gateways_share_what_may_be_under_way(brief: World) -> None:
    gateways = [await brief.gateway() for _ in range(3)]
    ten = Charge(at_once(10), 1)
    for _ in range(3):
        outcomes = await ask_all(gateways, 40, "mobile", ten)
        assert verdicts(outcomes) == {"granted": 10, "refused": 30}
        end(*outcomes)


async def test_what_one_gateway_has_no_use_for_is_another_ones(brief: World) -> None:
    one, other = [await brief.gateway() for _ in range(2)]
    ten = Charge(at_once(10), 1)
    end(*await ask_all([one], 10, "mobile", ten))

    async def all_of_them() -> bool:
        outcomes = await ask_all([other], 10, "mobile", ten)
        end(*outcomes)
        return verdicts(outcomes) == {"granted": 10}

    await until(all_of_them)


async def test_a_heavy_request_takes_several(ledger: Gateway) -> None:
    five = at_once(5)
    heavy = await spend(ledger, Charge(five, 4))
    assert (await spend(ledger, Charge(five, 2))).verdict is Verdict.REFUSED
    light = await spend(ledger, Charge(five, 1))
    assert light.verdict is Verdict.GRANTED
    end(heavy)
    assert (await spend(ledger, Charge(five, 4))).verdict is Verdict.GRANTED


async def test_more_than_there_may_be_is_refused_for_good(ledger: Gateway) -> None:
    assert (await spend(ledger, Charge(at_once(2), 3))).retry_after is None


async def test_what_a_window_refuses_takes_no_permit(ledger: Gateway) -> None:
    one, permits = Charge(limit(1), 1), Charge(at_once(2), 1)
    first = await spend(ledger, one, permits)
    assert (first.limit, first.hold is None) == (one.limit, False)
    assert (await spend(ledger, one, permits)).limit == one.limit
    second = await spend(ledger, permits)
    assert second.verdict is Verdict.GRANTED
    end(first, second)


async def test_what_lacks_a_permit_takes_nothing_of_the_window(ledger: Gateway) -> None:
    two, permit = Charge(limit(2), 1), Charge(at_once(1), 1)
    first = await spend(ledger, two, permit)
    refusal = await spend(ledger, two, permit)
    assert (refusal.limit, refusal.retry_after) == (permit.limit, 1)
    end(first)
    assert (await spend(ledger, two, permit)).verdict is Verdict.GRANTED
    assert (await spend(ledger, two)).limit == two.limit


async def test_each_user_and_all_together(ledger: Gateway) -> None:
    user, account = at_once(1, per=Per.USER), at_once(3, per=Per.ACCOUNT)

    async def by(name: str) -> Outcome:
        claim = ledger.claim(f"user:mobile/{name}", (Charge(user, 1),), ("account:acme", (Charge(account, 1),)))
        return await ask(ledger, claim)

    alice, bob = await by("alice"), await by("bob")
    assert [alice.verdict, bob.verdict] == ["granted", "granted"]
    assert (await by("alice")).limit == user
    carol = await by("carol")
    assert carol.verdict is Verdict.GRANTED
    assert (await by("dave")).limit == account
    end(bob)
    dave = await until(lambda: let_in(by("dave")))  # once what was lent to him before has gone back
    end(alice, carol, dave)


async def test_another_value_holds_for_what_comes(ledger: Gateway) -> None:
    before = [await spend(ledger, Charge(at_once(3), 1)) for _ in range(3)]
    assert (await spend(ledger, Charge(at_once(2), 1))).verdict is Verdict.REFUSED
    end(*before[:1])
    assert (await spend(ledger, Charge(at_once(2), 1))).verdict is Verdict.REFUSED
    end(*before[1:2])
    assert (await spend(ledger, Charge(at_once(2), 1))).verdict is Verdict.GRANTED
    assert (await spend(ledger, Charge(at_once(4), 1))).verdict is Verdict.GRANTED
    end(*before[2:])


async def test_permits_in_hand_are_used_without_asking(brief: World) -> None:
    ledger = await brief.gateway()
    claim = ledger.claim("mobile", (Charge(at_once(100), 1),))
    outcomes = await ask_all([ledger], 10, "mobile", Charge(at_once(100), 1))
    end(*outcomes)
    for _ in range(1000):
        outcome = ledger.consume(claim, lambda _: pytest.fail("answered later"))
        assert outcome is not None
        end(outcome)


@pytest.mark.redis
async def test_a_gateway_that_is_lost_has_nothing_after_a_while(urls: Any) -> None:
    world = World(urls("redis"), BRIEF)
    lost, other = [await world.gateway() for _ in range(2)]
    assert isinstance(lost, StoreLedger)
    two = Charge(at_once(2), 1)
    assert verdicts(await ask_all([lost], 2, "mobile", two)) == {"granted": 2}
    assert (await spend(other, two)).verdict is Verdict.REFUSED
    assert lost._ticking is not None
    lost._ticking.cancel()  # it renews nothing any more

    async def verdict() -> str:
        """Once no call is under way that seems to have taken as long as time was made to pass."""
        while (outcome := await spend(other, two)).verdict is Verdict.UNAVAILABLE:
            await asyncio.sleep(0.01)
        return outcome.verdict

    for seconds, said in ((LIFE - 1, "refused"), (2, "granted")):
        world.now += seconds
        world._tell(other)  # type: ignore[arg-type]
        assert await verdict() == said
    await world.close()
