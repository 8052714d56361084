"""The ledger's promises for requests with limits of several scopes, under schedules of faults: see paper/."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from gateway.model import Charge, Limit, Period

from .paper.gateway import Ledger, Make, store_ledger
from .paper.loop import Process
from .paper.network import PaperTopology
from .paper.play import play
from .paper.schedules import Rule, Schedule, schedule

FEW, MANY = 4, 40  # schedules of each kind

# No alerts: they name a scope, and those who look at them know of one.
PLANS = (
    (Rule("hits", Period.MINUTE, 60, bins=()), Rule("hits", Period.HOUR, 150, bins=())),
    (Rule("hits", Period.HOUR, 400, bins=()), Rule("writes", Period.HOUR, 60, bins=())),
    (
        Rule("hits", Period.MINUTE, 90, bins=()),
        Rule("hits", Period.HOUR, 300, bins=()),
        Rule("writes", Period.MINUTE, 20, bins=()),
    ),
)
FAULTS = ("calm", "deaths", "pauses", "cuts", "slow", "clocks", "storms", "edits")


class Divided:
    """A ledger whose claims are divided: limits by the minute belong to a user, those of writes to an account."""

    def __init__(self, ledger: Any) -> None:
        self._ledger = ledger
        self.start, self.close, self.consume = ledger.start, ledger.close, ledger.consume

    def claim(self, scope: str, charges: tuple[Charge, ...]) -> Any:
        parts: dict[str, tuple[Charge, ...]] = {}
        for charge in charges:
            whose = whose_of(scope, charge.limit)
            parts[whose] = (*parts.get(whose, ()), charge)
        first, *others = sorted(parts.items(), reverse=True)
        return self._ledger.claim(*first, *others)


def whose_of(scope: str, limit: Limit) -> str:
    if limit.metric == "writes":
        return "account:acme"
    return f"user:{scope}/alice" if limit.period is Period.MINUTE else scope


def divided_ledger() -> Make:
    make = store_ledger()

    def divided(topology: PaperTopology, process: Process) -> Ledger:
        return Divided(make(topology, process))

    return divided


@pytest.fixture(autouse=True)
def silence() -> Iterator[None]:
    """Faults are many, and so are warnings."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def of_scopes(kind: str, seed: int) -> Schedule:
    return replace(schedule(kind, seed), rules=PLANS[seed % len(PLANS)])


@pytest.mark.parametrize("kind", FAULTS)
def test_schedules_of_one_kind_of_fault(kind: str) -> None:
    for seed in range(FEW):
        assert play(of_scopes(kind, seed), divided_ledger()) == [], of_scopes(kind, seed)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", FAULTS)
def test_many_schedules_of_one_kind_of_fault(kind: str) -> None:
    for seed in range(1000, 1000 + MANY):
        assert play(of_scopes(kind, seed), divided_ledger()) == [], of_scopes(kind, seed)
