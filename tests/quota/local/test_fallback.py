"""What plans do while the store is away, and what the log says of it."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from gateway.model import Down, DownMode, Limit, Verdict
from gateway.quota.local.fallback import Fallback

from .conftest import Open, limit, line

LOCAL = limit(1000)
OPEN = limit(1000, plan="silver", down=Down(mode=DownMode.OPEN))
CLOSED = limit(1000, plan="bronze", down=Down())


@pytest.fixture
def admitted() -> list[DownMode]:
    return []


@pytest.fixture
def fallback(open_shares: Open, admitted: list[DownMode]) -> Fallback:
    fallback = Fallback(admitted.append)
    fallback.shares = open_shares(LOCAL)
    return fallback


def ask(fallback: Fallback, limit: Limit, cost: int = 1) -> tuple[Verdict, DownMode | None]:
    outcome = fallback.decide(limit, (line(limit, cost) for _ in range(1)))
    assert outcome.limit is None  # what is left is not known
    return outcome.verdict, outcome.fallback


def test_each_plan_does_what_it_says(fallback: Fallback, admitted: list[DownMode]) -> None:
    assert ask(fallback, CLOSED) == (Verdict.UNAVAILABLE, None)
    assert ask(fallback, OPEN, 10_000) == (Verdict.GRANTED, DownMode.OPEN)
    assert ask(fallback, LOCAL, 25) == (Verdict.GRANTED, DownMode.LOCAL)
    assert ask(fallback, LOCAL) == (Verdict.UNAVAILABLE, None)
    assert admitted == [DownMode.OPEN, DownMode.LOCAL]


def told(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    names = ("message", "plan", "mode", "requests")
    return [{name: record.__dict__[name] for name in names if name in record.__dict__} for record in caplog.records]


def test_the_log_tells_when_it_begins_and_when_it_is_over(fallback: Fallback, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(3):
        ask(fallback, OPEN)
    ask(fallback, LOCAL)
    ask(fallback, CLOSED)
    fallback.over()
    fallback.over()
    begins, ends = "the store is away: requests are let in without it", "the store counts again"
    assert told(caplog) == [
        {"message": begins, "plan": "silver", "mode": "open"},
        {"message": begins, "plan": "gold", "mode": "local"},
        {"message": f"{ends}; requests were let in without it", "plan": "silver", "mode": "open", "requests": 3},
        {"message": f"{ends}; requests were let in without it", "plan": "gold", "mode": "local", "requests": 1},
    ]
    assert {record.levelno for record in caplog.records} == {logging.WARNING}


def test_the_next_outage_is_told_anew(fallback: Fallback, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(2):
        ask(fallback, OPEN)
        fallback.over()
    assert [line.get("requests") for line in told(caplog)] == [None, 1, None, 1]


def test_without_shares_nothing_is_let_in() -> None:
    """As while a gateway starts."""
    assert Fallback().decide(LOCAL, [line(LOCAL)]).verdict is Verdict.UNAVAILABLE
