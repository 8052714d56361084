"""What an explanation says of limits: what is spent where that is known, and what one request more would mean."""

from __future__ import annotations

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


async def test_without_limits_none_applies_and_what_only_counts_is_none() -> None:
    for charges in ((), (Charge(limit(meter=True), 1),)):
        (step,) = await explain_limits(charges, SCOPES, None)
        assert step.text == "none applies"
