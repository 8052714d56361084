"""Requests with limits of several scopes, as a user and an application: all of them hold, or none is used."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.model import Charge, Limit, Outcome, Over, Per, Period, Verdict
from gateway.quota.periods import window

from .conftest import Gateway, World, ask, limit

Parts = tuple[tuple[str, tuple[Charge, ...]], ...]

OF_USER = limit(3, per=Per.USER)
OF_APPLICATION = limit(7)
OF_ACCOUNT = limit(9, period=Period.HOUR, per=Per.ACCOUNT)


def claim(ledger: Gateway, parts: Parts) -> Any:
    (scope, charges), *others = parts
    return ledger.claim(scope, charges, *others)


def request(user: str, cost: int = 1, application: str = "mobile") -> Parts:
    """What one request of a user costs its user, its application and its account."""
    return (
        (f"user:{application}/{user}", (Charge(OF_USER, cost),)),
        (application, (Charge(OF_APPLICATION, cost),)),
        ("account:acme", (Charge(OF_ACCOUNT, cost),)),
    )


async def ask_all(ledgers: list[Gateway], requests: list[Parts]) -> list[Outcome]:
    """All at the same time, each ledger's turn in order."""
    claims = [(ledgers[n % len(ledgers)], claim(ledgers[n % len(ledgers)], parts)) for n, parts in enumerate(requests)]
    return list(await asyncio.gather(*(ask(*each) for each in claims)))


async def later(world: World, seconds: float) -> None:
    """Let time pass when no call is under way: none may seem to take as long."""
    await world.rest()
    await world.advance(seconds)


def granted(outcomes: list[Outcome]) -> int:
    return sum(outcome.verdict is Verdict.GRANTED for outcome in outcomes)


async def test_each_user_has_a_limit_and_all_have_one_together(ledger: Gateway) -> None:
    for user in ("alice", "bob"):
        outcomes = [await ask(ledger, claim(ledger, request(user))) for _ in range(5)]
        assert [outcome.verdict for outcome in outcomes] == ["granted"] * 3 + ["refused"] * 2
        assert outcomes[-1].limit == OF_USER
    carol = [await ask(ledger, claim(ledger, request("carol"))) for _ in range(3)]
    assert [(outcome.verdict, outcome.limit) for outcome in carol] == [
        ("granted", OF_APPLICATION),  # the scarcest
        ("refused", OF_APPLICATION),
        ("refused", OF_APPLICATION),
    ]


async def test_what_one_scope_refuses_no_other_has_counted(ledger: Gateway) -> None:
    dear = claim(ledger, request("alice", cost=4))  # of three
    for _ in range(20):
        assert (await ask(ledger, dear)).limit == OF_USER
    assert granted(await ask_all([ledger], [request(user) for user in "aaabbbccc"])) == 7


async def test_an_account_s_applications_count_together(world: World) -> None:
    ledger = await world.gateway()
    outcomes = await ask_all(
        [ledger], [request(user, application=app) for app in ("mobile", "web") for user in "abcdef"]
    )
    assert granted(outcomes) == 9
    assert Counter(outcome.limit for outcome in outcomes if outcome.verdict is Verdict.REFUSED) == {OF_ACCOUNT: 3}


async def test_gateways_together_admit_all_of_it_and_no_more(world: World) -> None:
    gateways = [await world.gateway() for _ in range(3)]
    wide = limit(40, period=Period.HOUR, per=Per.ACCOUNT)
    requests: list[Parts] = [
        ((f"user:mobile/{number % 5}", (Charge(limit(12, per=Per.USER), 1),)), ("account:acme", (Charge(wide, 1),)))
        for number in range(120)
    ]
    assert granted(await ask_all(gateways, requests)) == 40


async def test_two_that_need_each_other_s_last_unit(world: World) -> None:
    """Each order of asking: one of them gets both, however often it is tried."""
    one, two = await world.gateway(), await world.gateway()
    for turn in range(20):
        last = Charge(limit(1, per=Per.USER), 1)
        here: Parts = ((f"user:m/a{turn}", (last,)), (f"user:m/b{turn}", (last,)))
        outcomes = await asyncio.gather(ask(one, claim(one, here)), ask(two, claim(two, here[::-1])))
        assert granted(list(outcomes)) == 1


async def test_limits_that_never_refuse_in_a_wider_scope(world: World) -> None:
    ledger = await world.gateway()
    soft = limit(4, per=Per.ACCOUNT, over=Over.ALLOW, bins=(50, 100))
    for user in "aaaabb":
        parts = ((f"user:mobile/{user}", (Charge(OF_USER, 1),)), ("account:acme", (Charge(soft, 1),)))
        await ask(ledger, claim(ledger, parts))
    raised = {(alert.application, alert.bin, alert.spent >= alert.bin * 4 // 100) for alert in await world.alerts()}
    assert raised == {("account:acme", 50, True), ("account:acme", 100, True)}


async def test_all_windows_begin_anew(world: World) -> None:
    ledger = await world.gateway()
    admitted = []
    for _ in range(3):
        admitted.append(granted(await ask_all([ledger], [request("alice")] * 5)))
        await later(world, 60)
    assert admitted == [3, 3, 3]
    assert granted(await ask_all([ledger], [request("alice")])) == 0  # the account's hour is used up


@pytest.mark.parametrize(("first", "second"), [(0, 1), (1, 0)])
async def test_the_same_rule_in_two_scopes_is_two_counters(ledger: Gateway, first: int, second: int) -> None:
    """As of an application, and of each of its users."""
    pair: Parts = (("mobile", (Charge(limit(2), 1),)), ("user:mobile/a", (Charge(limit(2, per=Per.USER), 1),)))
    assert granted([await ask(ledger, claim(ledger, (pair[first], pair[second]))) for _ in range(3)]) == 2


# --- against a model --------------------------------------------------------------------------------

WHOSE = ["user:mobile/alice", "user:mobile/bob", "mobile", "account:acme"]
LIMITS = [
    limit(4),
    limit(11, period=Period.HOUR),
    limit(6, metric="writes"),
    limit(5, metric="soft", over=Over.ALLOW, bins=(100,)),
]
charges = st.lists(
    st.tuples(st.sampled_from(LIMITS), st.integers(0, 4)), min_size=1, max_size=3, unique_by=lambda charge: charge[0]
).map(lambda found: tuple(Charge(*charge) for charge in found))
requests = st.lists(st.tuples(st.sampled_from(WHOSE), charges), min_size=1, max_size=3, unique_by=lambda part: part[0])
KINDS = ["memory", pytest.param("embedded", marks=pytest.mark.redis)]


def fits(spent: Counter[Any], parts: Parts, now: float) -> bool:
    return all(
        not cost or rule.over is Over.ALLOW or spent[key_of(scope, rule, now)] + cost <= rule.value
        for scope, charged in parts
        for rule, cost, _ in charged
    )


def key_of(scope: str, rule: Limit, now: float) -> tuple[str, Limit, float]:
    return scope, rule, window(rule.period, rule.zone, now).start


def spend(spent: Counter[Any], parts: Parts, now: float) -> None:
    spent.update({key_of(scope, rule, now): cost for scope, charged in parts for rule, cost, _ in charged})


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=st.lists(st.tuples(requests, st.integers(0, 1), st.sampled_from([0.0, 0.0, 30.0, 3600.0])), max_size=25))
def test_one_request_after_another(urls: Callable[[str], str], kind: str, steps: list[Any]) -> None:
    async def run() -> None:
        world, spent = World(None if kind == "memory" else urls(kind)), Counter[Any]()
        gateways = [await world.gateway() for _ in range(2)]
        for parts, which, seconds in steps:
            await later(world, seconds)
            outcome = await ask(gateways[which], claim(gateways[which], tuple(parts)))
            assert (outcome.verdict is Verdict.GRANTED) == fits(spent, parts, world.now)
            if outcome.verdict is Verdict.GRANTED:
                spend(spent, parts, world.now)
        await world.close()

    asyncio.run(run())


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(asked=st.lists(requests, max_size=40))
def test_many_requests_at_once(urls: Callable[[str], str], kind: str, asked: list[Any]) -> None:
    """No limit is passed, and nobody is refused who would still fit at the end."""

    async def run() -> None:
        world, spent = World(None if kind == "memory" else urls(kind)), Counter[Any]()
        gateways = [await world.gateway() for _ in range(3)]
        outcomes = await ask_all(gateways, [tuple(parts) for parts in asked])
        for parts, outcome in zip(asked, outcomes, strict=True):
            if outcome.verdict is Verdict.GRANTED:
                spend(spent, parts, world.now)
        assert all(units <= rule.value for (_, rule, _), units in spent.items() if rule.over is Over.REJECT)
        for parts, outcome in zip(asked, outcomes, strict=True):
            assert outcome.verdict is not Verdict.UNAVAILABLE
            assert outcome.verdict is Verdict.GRANTED or not fits(spent, parts, world.now)
        await world.close()

    asyncio.run(run())
