"""Requests whose cost is known in the end, let in without the store."""

from __future__ import annotations

import pytest

from gateway.model import Charge, Hold, Limit, Over, Verdict
from gateway.quota.counters import Claim
from gateway.quota.meters import Meter
from gateway.quota.page import APART_OPEN

from .conftest import Open, limit
from .test_without_store import OPEN, Lonely

OF_PLAN = limit(1000)  # of which this gateway may let in 25 without its store


class Reserving(Lonely):
    def reserve(self, units: int, *limits: Limit) -> Claim[Meter]:
        return self._scopes["mobile"].claim(tuple(Charge(of, units, reserved=True) for of in limits))

    def let_in(self, claim: Claim[Meter]) -> Hold:
        outcome = self._without.decide(claim)
        assert outcome.verdict is Verdict.GRANTED and outcome.hold is not None
        return outcome.hold

    def refused(self, claim: Claim[Meter]) -> bool:
        return self._without.decide(claim).verdict is Verdict.UNAVAILABLE

    def untold(self, limit: Limit) -> int:
        """Units that are not told to the store yet, as they are under way."""
        words = self.leases.page.words
        return sum(words[c.place + APART_OPEN] for c in self.leases.counters if f":{limit.plan}:" in c.entry.key)


@pytest.mark.parametrize(("used", "counted"), [({}, 0), ({"hits": 3}, 3), ({"hits": 10}, 10), ({"hits": 17}, 17)])
def test_what_an_open_plan_let_in_is_counted_as_it_was_used(
    open_shares: Open, used: dict[str, int], counted: int
) -> None:
    lonely, plan = Reserving(open_shares=open_shares), limit(40, down=OPEN)
    hold = lonely.let_in(lonely.reserve(10, plan))
    assert (lonely.apart(plan), lonely.untold(plan)) == (10, 10)
    hold.settle(used)
    hold.settle(used)
    assert (lonely.apart(plan), lonely.untold(plan)) == (counted, 0)


def test_a_limit_that_only_counts_learns_it_beside_a_share(open_shares: Open) -> None:
    lonely = Reserving(OF_PLAN, open_shares=open_shares)
    soft = limit(9, plan="soft", over=Over.ALLOW)
    lonely.let_in(lonely.reserve(10, OF_PLAN, soft)).settle({"hits": 4})
    assert (lonely.apart(soft), lonely.apart(OF_PLAN)) == (4, 0)


def test_of_a_share_comes_back_what_was_not_used(open_shares: Open) -> None:
    lonely = Reserving(OF_PLAN, open_shares=open_shares)
    claim = lonely.reserve(25, OF_PLAN)
    for _ in range(3):
        hold = lonely.let_in(claim)
        assert lonely.refused(claim)
        hold.settle({})
    lonely.let_in(claim).settle({"hits": 20})
    assert lonely.refused(lonely.reserve(6, OF_PLAN))
    lonely.let_in(lonely.reserve(5, OF_PLAN)).settle({"hits": 5})
    assert lonely.refused(lonely.reserve(1, OF_PLAN))


def test_what_passes_the_reserve_of_a_share_is_the_whole_limit_s(open_shares: Open) -> None:
    lonely = Reserving(OF_PLAN, open_shares=open_shares)
    lonely.let_in(lonely.reserve(20, OF_PLAN)).settle({"hits": 90})
    assert lonely.apart(OF_PLAN) == 70
    lonely.let_in(lonely.reserve(5, OF_PLAN)).settle({"hits": 5})
    assert lonely.refused(lonely.reserve(1, OF_PLAN))


def test_what_the_store_was_told_of_a_share_stays_spent(open_shares: Open) -> None:
    """So that it hears of nothing twice: more stays spent than was used, and never less."""
    lonely = Reserving(OF_PLAN, open_shares=open_shares)
    first = lonely.let_in(lonely.reserve(10, OF_PLAN))
    (report,) = lonely.shares.reports()
    assert [units for _, units in report.lines] == [10]
    second = lonely.let_in(lonely.reserve(15, OF_PLAN))
    first.settle({})
    second.settle({"hits": 12})
    report.done()
    (report,) = lonely.shares.reports()
    assert [units for _, units in report.lines] == [2]  # 12 in all
    report.done()
    third = lonely.let_in(lonely.reserve(13, OF_PLAN))
    assert lonely.refused(lonely.reserve(1, OF_PLAN))
    third.settle({})
    assert not list(lonely.shares.reports())


def test_an_open_plan_leaves_another_ones_share_alone(open_shares: Open) -> None:
    lonely, plan = Reserving(OF_PLAN, open_shares=open_shares), limit(40, plan="first", down=OPEN)
    lonely.let_in(lonely.reserve(25, OF_PLAN)).settle({"hits": 25})
    lonely.let_in(lonely.reserve(25, plan, OF_PLAN)).settle({})
    assert lonely.refused(lonely.reserve(1, OF_PLAN))
