"""What an explanation says of limits: what is spent where that is known, and what one request more would mean."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gateway.explain.limits import explain_limits
from gateway.model import Charge, Kind, Limit, Over, Per, Period
from gateway.quota.adjust import Account, Had
from gateway.quota.periods import window, zone_of
from gateway.store import StoreAway

SCOPES = {per: f"{per}:x" for per in Per}


class Reader:
    def __init__(self, spent: int = 0, topped: int = 0, *, away: bool = False) -> None:
        self._units, self._away = Had(spent, 0, topped), away

    async def read(self, scope: str, limits: list[Limit]) -> list[Account]:
        if self._away:
            raise StoreAway("the store does not answer")
        return [
            Account(limit, window(limit.period, zone_of(limit.period, "UTC"), 0.0), self._units) for limit in limits
        ]


def limit(value: int = 10, **more: Any) -> Limit:
    return Limit(plan="gold", **{"period": Period.ETERNITY, "value": value, **more})


@pytest.mark.parametrize(
    ("held", "reader", "verdict", "code", "text"),
    [
        (limit(), Reader(9), "ok", "", "9 of 10 spent"),
        (limit(), Reader(10), "refused", "over_limit", "10 of 10 spent"),
        (limit(), Reader(10, topped=5), "ok", "", "10 of 15 spent"),
        (limit(over=Over.ALLOW), Reader(10), "note", "", "over, and counted on"),
        (limit(over=Over.ALLOW, shadow=True), Reader(10), "note", "", "over, and in shadow"),
        (limit(over=Over.DEGRADE, upstream="small"), Reader(10), "note", "", "served by the upstream small"),
        (limit(over=Over.WAIT, wait=2.0), Reader(9), "ok", "", "9 of 10 spent"),
        (limit(over=Over.WAIT, wait=2.0), Reader(10), "note", "", "over, so it waits up to 2 s if its turn can come"),
        (limit(over=Over.SUSPEND), Reader(10), "refused", "application_suspended", "which suspends it"),
        (limit(0), Reader(), "refused", "not_in_plan", "a limit of 0"),
        (limit(0), None, "refused", "not_in_plan", "a limit of 0"),
        (limit(), None, "note", "", "10 hits per eternity; this request costs 1; what is in use is not told"),
        (limit(), Reader(away=True), "note", "", "what is in use is not told"),
        (limit(kind=Kind.CONCURRENT), Reader(10), "note", "", "10 hits at once; this request costs 1"),
        (limit(kind=Kind.RATE, period=Period.SECOND), Reader(10), "note", "", "10 hits per second as a rate"),
    ],
)
async def test_a_limit_is_told(held: Limit, reader: Any, verdict: str, code: str, text: str) -> None:
    (step,) = await explain_limits((Charge(held, 1),), SCOPES, reader)
    assert (step.verdict, step.code) == (verdict, code)
    assert text in step.text


@pytest.mark.parametrize(
    ("held", "cost", "verdict", "text"),
    [
        (limit(kind=Kind.CONCURRENT), 10, "note", "over it, a request waits for its turn up to 2 s"),
        (limit(kind=Kind.CONCURRENT), 11, "note", "more than the 10 that there ever are at once"),
        (limit(kind=Kind.RATE, period=Period.SECOND, burst=3), 3, "note", "waits for its turn up to 2 s"),
        (limit(kind=Kind.RATE, period=Period.SECOND, burst=3), 4, "note", "refused without waiting"),
        (limit(), 11, "refused", "this request costs 11: more than there ever is, so waiting does not help"),
    ],
)
async def test_whether_a_request_would_wait(held: Limit, cost: int, verdict: str, text: str) -> None:
    patient = replace(held, over=Over.WAIT, wait=2.0)
    (step,) = await explain_limits((Charge(patient, cost),), SCOPES, Reader())
    assert step.verdict == verdict
    assert text in step.text


async def test_what_an_answer_costs_is_told_as_its_reserve() -> None:
    (step,) = await explain_limits((Charge(limit(100), 60, reserved=True),), SCOPES, Reader(41))
    assert (step.verdict, step.code) == ("refused", "over_limit")
    assert "41 of 100 spent" in step.text
    assert "this request costs 60" in step.text


async def test_without_limits_none_applies_and_what_only_counts_is_none() -> None:
    for charges in ((), (Charge(limit(meter=True), 1),)):
        (step,) = await explain_limits(charges, SCOPES, None)
        assert step.text == "none applies"
