"""The memory ledger keeps what counts, and only that."""

from __future__ import annotations

import gc

import pytest

from gateway.model import Alert, Charge, Limit, Period, Verdict
from gateway.quota import memory
from gateway.quota.memory import MemoryLedger

from .conftest import MONDAY, limit


class Fixture:
    def __init__(self) -> None:
        self.now = MONDAY
        self.ledger = MemoryLedger(lambda: self.now, self.raised)

    def raised(self, alert: Alert) -> None: ...

    def spend(self, scope: str, rule: Limit) -> Verdict:
        claim = self.ledger.claim(scope, (Charge(rule, 1),))
        return self.ledger.consume(claim, lambda _: None).verdict


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Fixture:
    monkeypatch.setattr(memory, "SWEEP", 4)
    return Fixture()


def test_open_windows_are_kept_although_nobody_holds_their_claims(counted: Fixture) -> None:
    once = limit(1, period=Period.ETERNITY)
    scopes = [f"client{number}" for number in range(50)]
    assert {counted.spend(scope, once) for scope in scopes} == {Verdict.GRANTED}
    gc.collect()
    assert {counted.spend(scope, once) for scope in scopes} == {Verdict.REFUSED}


def test_ended_windows_are_let_go(counted: Fixture) -> None:
    for number in range(100):
        counted.spend(f"client{number}", limit(1))
        counted.now += 60
    gc.collect()
    assert sum(isinstance(thing, memory.Tally) for thing in gc.get_objects()) < 10


def test_a_claim_that_outlives_its_window_still_shares_its_counter(counted: Fixture) -> None:
    rule = limit(2)
    old = counted.ledger.claim("mobile", (Charge(rule, 1),))
    counted.ledger.consume(old, lambda _: None)
    counted.now += 60
    for number in range(20):
        counted.spend(f"client{number}", rule)
    assert counted.spend("mobile", rule) is Verdict.GRANTED
    assert counted.ledger.consume(old, lambda _: None).verdict is Verdict.GRANTED
    assert counted.spend("mobile", rule) is Verdict.REFUSED
