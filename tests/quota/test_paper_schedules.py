"""The ledger's promises under thousands of schedules of faults, in a world of virtual time: see paper/.

    python -m tests.quota.paper.search --kind loss --seeds 0 5000 --shorten

plays more of them, and prints the shortest schedule for whatever is violated, to be kept in `KEPT`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace

import pytest

from gateway.model import Over, Period

from .paper.gateway import store_ledger
from .paper.play import Player, play
from .paper.schedules import FAULTS, Rule, Schedule, schedule, shorten
from .paper.simulate import Scale, Simulation

FEW, MANY = 6, 40  # schedules of each kind

HOURLY = (Rule("hits", Period.HOUR, 100),)
BOTH = (Rule("hits", Period.MINUTE, 60), Rule("hits", Period.HOUR, 150))
SOFT = (Rule("hits", Period.HOUR, 120), Rule("soft", Period.HOUR, 50, Over.ALLOW, (80, 100, 150)))

SPENT = ("traffic", 1.0, 60, 1)
MORE = ("traffic", 3.0, 200, 2)

KEPT = {
    "the store forgets everything": Schedule(1, 2, HOURLY, 0.0, (SPENT, ("flush",), MORE)),
    "it goes back to an old state": Schedule(2, 3, BOTH, 0.0, (SPENT, ("crash", 0.5, 0.1, False), MORE)),
    "it forgets while returns are under way": Schedule(
        3, 2, HOURLY, 0.0, (SPENT, ("storm", "lost answers", 3.0), ("wait", 0.5), ("crash", 0.0, 0.5, True), MORE)
    ),
    "it forgets again while it is fenced": Schedule(
        4, 3, HOURLY, 0.0, (SPENT, ("crash", 0.0, 0.1, False), ("wait", 2.0), ("crash", 0.0, 0.1, False), MORE)
    ),
    "it forgets what an idle gateway alone has seen": Schedule(
        5, 2, HOURLY, 0.0, (("burst", 0, 1, 60), ("wait", 4.0), ("flush",), ("burst", 1, 1, 60), MORE)
    ),
    "a gateway that stood still comes back with old leases": Schedule(
        6, 2, BOTH, 55.0, (("burst", 0, 1, 30), ("pause", 0, 30.0), MORE, ("wait", 15.0), MORE)
    ),
    "a gateway is cut off with leases, and others go on": Schedule(
        7, 3, SOFT, 0.0, (("burst", 0, 1, 40), ("cut", 0, 12.0), MORE, ("wait", 4.0), MORE)
    ),
    "a replica takes over without the latest": Schedule(
        8, 2, HOURLY, 0.0, (SPENT, ("unlink", 5.0), ("burst", 0, 1, 30), ("failover", 0.1), MORE), 1
    ),
    "what the dead were granted is with the replica": Schedule(
        10, 2, HOURLY, 0.0, (("unlink", 5.0), ("bursts", 0, 10, 6), ("kill", 0), ("failover", 0.1), MORE), 1
    ),
    "leases outlive what the store knew of them": Schedule(
        11,
        2,
        HOURLY,
        0.0,
        (
            *(("burst", 1, 1, 30), ("wait", 0.1), ("burst", 1, 1, 1), ("burst", 0, 1, 1), ("wait", 0.02)),
            *(("pause", 1, 8.0), ("flush",), ("wait", 7.0), ("burst", 0, 1, 100), ("wait", 1.1), ("burst", 1, 1, 60)),
        ),
    ),
    "a return is done, unanswered, and forgotten": Schedule(
        12,
        3,
        HOURLY,
        0.0,
        (
            *(("burst", 1, 1, 30), ("burst", 2, 1, 20), ("wait", 0.3), ("pause", 2, 9.0)),
            *(("storm", "no answers", 1.0), ("wait", 1.2), ("burst", 0, 1, 100), ("flush",), ("wait", 7.0)),
            *(("burst", 0, 1, 60), ("wait", 1.1), ("burst", 2, 1, 60)),
        ),
    ),
    "a gateway leaves while it lets requests in whose cost is known later": Schedule(
        1023,
        1,
        (Rule("hits", Period.HOUR, 700),),
        255.69068644976744,
        (("burst", 2, 1, 6), ("drain", 3)),
        reserving=0.3,
    ),
    "another version of the plan allows less": Schedule(9, 2, HOURLY, 0.0, (SPENT, ("edit", 0, 30, 2), MORE)),
}


@pytest.fixture(autouse=True)
def silence() -> Iterator[None]:
    """Faults are many, and so are warnings."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("name", KEPT)
def test_a_schedule_that_broke_something_once(name: str) -> None:
    assert play(KEPT[name], store_ledger()) == []


@pytest.mark.parametrize("kind", FAULTS)
def test_schedules_of_one_kind_of_fault(kind: str) -> None:
    for seed in range(FEW):
        assert play(schedule(kind, seed), store_ledger()) == [], schedule(kind, seed)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", FAULTS)
def test_many_schedules_of_one_kind_of_fault(kind: str) -> None:
    for seed in range(1000, 1000 + MANY):
        assert play(schedule(kind, seed), store_ledger()) == [], schedule(kind, seed)


def test_a_schedule_is_played_alike_each_time() -> None:
    """All that was asked and answered, to the microsecond."""

    def history() -> list[tuple[object, ...]]:
        player = Player(schedule("mixed", 8), store_ledger(), 0.05)
        player.play()
        asked = player.world.history.requests
        return [(r.gateway, r.asked, r.answered, r.used, r.outcome and r.outcome.replace(hold=None)) for r in asked]

    first = history()
    assert len(first) > 100
    assert history() == first


def test_a_ledger_without_a_fence_is_found_out() -> None:
    """What these tests would say of a ledger that takes up at once where a store forgot."""
    violations = play(KEPT["it forgets what an idle gateway alone has seen"], store_ledger(fence=0.0))
    assert any("admitted of" in violation for violation in violations)


def test_a_schedule_is_shortened_to_what_matters() -> None:
    def fails(each: Schedule) -> bool:
        return any("admitted of" in violation for violation in play(each, store_ledger(fence=0.0)))

    found = KEPT["it forgets what an idle gateway alone has seen"]
    short = shorten(replace(found, gateways=3, steps=(("wait", 1.2), *found.steps, ("wait", 0.3))), fails)
    assert fails(short)
    assert [step[0] for step in short.steps] == ["burst", "wait", "flush", "burst"]


def test_a_small_simulation() -> None:
    """Four gateways share a hundred a minute, asked for eight times as much: all of it is admitted, and no more."""
    tally = Simulation(Scale(gateways=4, applications=1, rate=30, seconds=60, spread=4, limit=100)).run()
    assert sum(tally.verdicts.values()) == tally.requests > 1000
    assert tally.windows[0, 0].admitted == 100
    assert tally.calls / tally.requests < 0.4
    assert max(tally.waits) <= 0.05
