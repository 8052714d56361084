"""How much is leased, when more is asked for, and when it goes back: by a paper clock, without a store."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gateway.model import Period
from gateway.quota.leases import AHEAD, LATE, LEAST, QUIET, SHORTEST, Leases
from gateway.quota.meters import NOWHERE, Counter, Meter
from gateway.quota.page import APART, DONE, TOLD, USED, Page
from gateway.quota.scopes import Scope

from .conftest import MONDAY, limit


class Desk:
    """One counter, and the clock on the wall."""

    def __init__(self) -> None:
        self.leases = Leases(Page())
        scope = Scope("gw", "p", "mobile")
        self.counter: Counter = Meter("gw", scope, limit(1_000_000, period=Period.YEAR)).open(MONDAY)
        self.leases.adopt(self.counter)
        self.now = 1000.0

    def wants(self, waiting: int = 0) -> int:
        return self.leases.want(self.counter, waiting, self.now)

    def top_up(self, units: int) -> None:
        self.counter.hand += units
        self.leases.topped_up(self.counter, units, self.now)

    def use(self, units: int, seconds: float = 0.0) -> None:
        self.leases.page.words[self.counter.place + USED] += units
        self.counter.hand -= units
        self.now += seconds

    def report(self) -> None:
        """As an answer does: the store knows all that was used."""
        words, place = self.leases.page.words, self.counter.place
        words[place + TOLD + (words[place + DONE] & 1)] = words[place + USED]

    def look(self) -> bool:
        return self.leases.look(self.counter, self.now)


@pytest.fixture
def desk() -> Iterator[Desk]:
    desk = Desk()
    yield desk
    desk.leases.page.close()


# --- how much -------------------------------------------------------------------------------------------


def test_the_first_request_leases_nothing(desk: Desk) -> None:
    assert desk.wants(waiting=1) == 0


def test_a_slow_application_leases_nothing(desk: Desk) -> None:
    desk.top_up(0)
    desk.now += 5
    assert desk.wants(waiting=1) == 0


def test_a_lease_is_for_a_moment_of_traffic(desk: Desk) -> None:
    desk.top_up(200)
    desk.use(200, seconds=0.1)
    assert desk.wants() == pytest.approx(2000 * AHEAD, abs=1)


def test_at_least_100_units_are_leased_where_they_are_used_within_a_second(desk: Desk) -> None:
    desk.top_up(20)
    desk.use(20, seconds=0.1)  # 200 a second: 30 in that moment
    assert desk.wants() == LEAST
    desk.top_up(5)
    desk.use(5, seconds=0.5)  # 10 a second
    assert desk.wants() == 10


def test_those_who_wait_count_as_traffic(desk: Desk) -> None:
    desk.top_up(0)
    desk.now += 0.1
    assert desk.wants(waiting=100) == pytest.approx(1000 * AHEAD, abs=1)


def test_a_burst_is_not_taken_for_a_rate(desk: Desk) -> None:
    """What comes within a moment is measured over 20 ms at least."""
    desk.top_up(0)
    assert desk.wants(waiting=30) == int(30 / SHORTEST * AHEAD)


# --- when -------------------------------------------------------------------------------------------------


def test_more_is_due_below_a_quarter_and_only_what_lacks_is_leased(desk: Desk) -> None:
    desk.top_up(100)
    assert desk.counter.low == 25
    desk.use(80, seconds=0.08)
    assert desk.wants() == pytest.approx(1000 * AHEAD - 20, abs=1)


def test_who_has_enough_leases_nothing(desk: Desk) -> None:
    desk.top_up(100)
    desk.use(10, seconds=0.1)
    assert desk.wants() == 0


def test_near_the_limit_there_is_no_early_refill(desk: Desk) -> None:
    """Nothing was to be had ahead: asking early would only ask more often."""
    desk.counter.hand = 3
    desk.leases.topped_up(desk.counter, 0, desk.now)
    assert desk.counter.low == 0


# --- back ---------------------------------------------------------------------------------------------------


def looks(desk: Desk, times: int) -> list[bool]:
    return [desk.look() for _ in range(times)]


def test_what_is_not_used_between_two_looks_goes_back(desk: Desk) -> None:
    desk.top_up(10)
    assert looks(desk, QUIET) == [False, True]
    assert desk.counter.idle


def test_what_is_used_stays(desk: Desk) -> None:
    desk.top_up(100)
    for _ in range(20):
        desk.use(1)
        desk.report()
        assert not desk.look()
    assert not desk.counter.idle


def test_what_was_used_is_reported_within_three_looks(desk: Desk) -> None:
    desk.top_up(100)
    heard = []
    for _ in range(LATE):
        desk.use(1)
        heard.append(desk.look())
    assert heard == [False, False, True]
    assert not desk.counter.idle  # reported, not given back


def test_what_was_let_in_without_a_lease_is_reported_too(desk: Desk) -> None:
    desk.leases.page.words[desk.counter.place + APART] += 1
    assert True in looks(desk, LATE)


def test_a_counter_without_units_or_debts_has_no_cell(desk: Desk) -> None:
    assert looks(desk, QUIET + 1) == [False] * (QUIET + 1)
    assert desk.counter.place == NOWHERE
    assert not desk.leases.counters
    assert not desk.counter.scope.cells
    desk.leases.adopt(desk.counter)
    assert desk.counter.place != NOWHERE


def test_a_counter_of_which_a_call_is_under_way_keeps_its_cell(desk: Desk) -> None:
    desk.counter.scope.call = object()
    looks(desk, 2 * QUIET)
    assert desk.counter.place != NOWHERE


def test_a_counter_that_owes_keeps_its_cell_however_long_the_store_is_away(desk: Desk) -> None:
    desk.top_up(1)
    desk.use(1)
    assert looks(desk, 10)[-1] is True
    assert desk.counter.place != NOWHERE
