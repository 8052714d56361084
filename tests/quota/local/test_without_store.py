"""Requests that the store cannot be asked about, with limits that do not all say the same."""

from __future__ import annotations

import pytest

from gateway.model import Charge, Down, DownMode, Limit, Over, Per, Verdict
from gateway.quota.clock import StoreClock
from gateway.quota.counters import Claim, together
from gateway.quota.fallback import WithoutStore
from gateway.quota.leases import Leases
from gateway.quota.local.fallback import Fallback
from gateway.quota.meters import Meter
from gateway.quota.page import APART, Page
from gateway.quota.scopes import Scope

from .conftest import NOON, Open, limit

OF_PLAN = limit(40)  # of which this gateway may let in one without its store
OPEN = Down(mode=DownMode.OPEN)


class Lonely:
    """A worker whose store is away, a minute past noon."""

    def __init__(self, *shared: Limit, open_shares: Open) -> None:
        clock = StoreClock(lambda: 0.0)
        clock.learn(NOON + 60, 0.0, 0.0)
        self.leases = Leases(Page())
        self._scopes = {name: Scope("gw", "p", name) for name in ("mobile", "service:orders")}
        fallback = Fallback()
        self.shares = fallback.shares = open_shares(*shared)
        self._without = WithoutStore(clock, self.leases, fallback)

    def claim(self, **charged: tuple[Limit, ...]) -> Claim[Meter]:
        names = {"application": "mobile", "service": "service:orders"}
        return together(
            tuple(
                self._scopes[names[whose]].claim(tuple(Charge(of, 1) for of in some)) for whose, some in charged.items()
            )
        )

    def ask(self, claim: Claim[Meter]) -> tuple[Verdict, DownMode | None, Limit | None]:
        outcome = self._without.decide(claim)
        return outcome.verdict, outcome.fallback, outcome.shadow

    def apart(self, limit: Limit) -> int:
        """Units to be told to the store when it is back."""
        words = self.leases.page.words
        key = f":{limit.plan}:"
        return sum(words[c.place + APART] for c in self.leases.counters if key in c.entry.key)


def of_service(down: Down) -> Limit:
    return limit(2, plan="-", service="orders", per=Per.SERVICE, down=down)


def test_a_service_s_limit_has_no_local_share_and_hears_of_all_that_was_let_in(open_shares: Open) -> None:
    lonely, service = Lonely(OF_PLAN, open_shares=open_shares), of_service(OPEN)
    claim = lonely.claim(application=(OF_PLAN,), service=(service,))
    assert lonely.ask(claim) == (Verdict.GRANTED, DownMode.LOCAL, None)
    assert lonely.ask(claim) == (Verdict.UNAVAILABLE, None, None)
    assert lonely.apart(service) == 1
    assert lonely.apart(OF_PLAN) == 0  # it is in the record of local shares


def test_an_open_plan_counts_in_both_scopes(open_shares: Open) -> None:
    lonely, service, plan = Lonely(open_shares=open_shares), of_service(OPEN), limit(40, down=OPEN)
    claim = lonely.claim(application=(plan,), service=(service,))
    assert [lonely.ask(claim) for _ in range(5)] == [(Verdict.GRANTED, DownMode.OPEN, None)] * 5
    assert (lonely.apart(service), lonely.apart(plan)) == (5, 5)


@pytest.mark.parametrize("own", [(), (limit(40, down=Down()),)])
def test_a_closed_plan_lets_in_nothing_even_without_limits_of_its_own(
    own: tuple[Limit, ...], open_shares: Open
) -> None:
    lonely = Lonely(open_shares=open_shares)
    claim = lonely.claim(application=own, service=(of_service(Down()),))
    assert lonely.ask(claim) == (Verdict.UNAVAILABLE, None, None)


def test_a_limit_in_shadow_goes_on_telling(open_shares: Open) -> None:
    lonely, plan = Lonely(open_shares=open_shares), limit(40, down=OPEN)
    shadow = limit(2, metric="writes", over=Over.ALLOW, shadow=True, down=OPEN)
    claim = lonely.claim(application=(plan, shadow))
    assert [lonely.ask(claim)[2] for _ in range(4)] == [None, None, shadow, shadow]
