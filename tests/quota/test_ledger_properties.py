"""Every ledger against a model of a few lines, over random plans, requests and times."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.model import Charge, Limit, Over, Period, Verdict
from gateway.quota.periods import window

from .conftest import World, ask, limit

LIMITS = [
    limit(7, bins=(50, 100)),
    limit(12, period=Period.HOUR, bins=(80, 100)),
    limit(9, metric="writes", bins=(100,)),
    limit(15, period=Period.DAY, zone="Asia/Kathmandu", bins=(90, 100)),
    limit(25, period=Period.ETERNITY, metric="writes"),
    limit(6, period=Period.HOUR, metric="soft", over=Over.ALLOW, bins=(80, 100, 200)),
]

charges = st.lists(
    st.tuples(st.sampled_from(LIMITS), st.integers(0, 8)), min_size=1, max_size=4, unique_by=lambda charge: charge[0]
).map(lambda found: tuple(Charge(*charge) for charge in found))
requests = st.tuples(st.sampled_from(["mobile", "desk"]), charges)
steps = st.lists(
    st.tuples(st.just("ask"), requests, st.integers(0, 1))
    | st.tuples(st.just("wait"), st.sampled_from([1.0, 20.0, 45.5, 3000.0, 40_000.0]))
    | st.tuples(st.just("edit"), st.integers(-4, 6)),
    max_size=25,
)


@dataclass
class Model:
    """What a ledger must do, with no thought of speed."""

    spent: dict[tuple[Any, ...], int] = field(default_factory=dict)
    raised: set[tuple[Any, ...]] = field(default_factory=set)

    def ask(self, scope: str, charged: tuple[Charge, ...], now: float) -> bool:
        keys = [self._key(scope, charge.limit, now) for charge in charged]
        admitted = all(
            not charge.cost
            or charge.limit.over is Over.ALLOW
            or self.spent.get(key, 0) + charge.cost <= charge.limit.value
            for key, charge in zip(keys, charged, strict=True)
        )
        for key, charge in zip(keys, charged, strict=True):
            self.spent[key] = self.spent.get(key, 0) + charge.cost * admitted
            if admitted and charge.cost:  # what costs nothing is not counted, nor looked at
                self._raise(key, charge.limit)
        return admitted

    def _raise(self, key: tuple[Any, ...], limit: Limit) -> None:
        spent = self.spent[key]
        self.raised |= {(key, bin_) for bin_ in limit.bins if spent and spent * 100 >= bin_ * limit.value}

    def _key(self, scope: str, limit: Limit, now: float) -> tuple[Any, ...]:
        return scope, limit.metric, limit.period, window(limit.period, limit.zone, now).start


def edited(charged: tuple[Charge, ...], by: int) -> tuple[Charge, ...]:
    return tuple(
        Charge(replace(charge.limit, value=max(1, charge.limit.value + by)), charge.cost) for charge in charged
    )


@pytest.mark.parametrize("kind", ["memory", pytest.param("embedded", marks=pytest.mark.redis)])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=steps)
def test_one_request_after_another(urls: Callable[[str], str], kind: str, steps: list[tuple[Any, ...]]) -> None:
    """Two gateways decide as the model does, whatever is edited, and raise what it raises: no more, no less."""

    async def run() -> None:
        world, model, edit = World(None if kind == "memory" else urls(kind)), Model(), 0
        gateways = [await world.gateway() for _ in range(2)]
        for step in steps:
            match step:
                case "wait", seconds:
                    await world.advance(seconds)
                case "edit", by:
                    edit = by
                case "ask", (scope, charged), which:
                    charged = edited(charged, edit)
                    outcome = await ask(gateways[which], gateways[which].claim(scope, charged))
                    assert (outcome.verdict is Verdict.GRANTED) == model.ask(scope, charged, world.now)
        alerts = await world.alerts()
        raised = {((a.application, a.metric, a.period, a.window_start), a.bin) for a in alerts}
        assert len(alerts) == len(raised)
        assert all(alert.spent * 100 >= alert.bin * alert.value for alert in alerts)
        assert raised >= model.raised
        await world.close()

    asyncio.run(run())


@pytest.mark.parametrize("kind", ["memory", pytest.param("embedded", marks=pytest.mark.redis)])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(asked=st.lists(st.tuples(requests, st.integers(0, 2)), max_size=60))
def test_many_requests_at_once(urls: Callable[[str], str], kind: str, asked: list[tuple[Any, int]]) -> None:
    """However they mix, no limit is passed, and nobody is refused who would still fit at the end."""

    async def run() -> None:
        world = World(None if kind == "memory" else urls(kind))
        gateways = [await world.gateway() for _ in range(3)]
        claims = [(gateways[which], gateways[which].claim(*request)) for request, which in asked]
        outcomes = await asyncio.gather(*(ask(*claim) for claim in claims))
        spent: dict[tuple[str, Limit], int] = {}
        for ((scope, charged), _), outcome in zip(asked, outcomes, strict=True):
            for charge in charged if outcome.verdict is Verdict.GRANTED else ():
                spent[scope, charge.limit] = spent.get((scope, charge.limit), 0) + charge.cost
        assert all(units <= rule.value for (_, rule), units in spent.items() if rule.over is Over.REJECT)
        for ((scope, charged), _), outcome in zip(asked, outcomes, strict=True):
            if outcome.verdict is Verdict.REFUSED:
                (cost,) = (charge.cost for charge in charged if charge.limit == outcome.limit)
                assert spent.get((scope, outcome.limit), 0) + cost > outcome.limit.value
        raised = [(alert.application, alert.metric, alert.period, alert.bin) for alert in await world.alerts()]
        due = {
            (scope, rule.metric, rule.period, bin_)
            for (scope, rule), units in spent.items()
            for bin_ in rule.bins
            if units * 100 >= bin_ * rule.value
        }
        assert len(raised) == len(set(raised))
        assert set(raised) == due
        await world.close()

    asyncio.run(run())
