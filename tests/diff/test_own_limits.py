"""What a change means for one application: limits of its own, its time, its account's plans and state."""

from __future__ import annotations

from gateway.diff.compare import compare
from gateway.diff.text import text

from .conftest import Edited

MOBILE = "mobile: {plans: [gold], client_ids: [mobile-app], account: acme"


def test_a_limit_of_its_own_is_told_as_a_change_of_the_plans(edited: Edited) -> None:
    own = MOBILE + ", limits: {hits: [200/minute]}, exempt: [hits/month]"
    assert text(compare(*edited((MOBILE, own))), None).splitlines() == [
        "applications",
        "  ~ mobile",
        "      limit raised: hits per minute: 100 → 200",
        "      limit removed: hits per month: - 5000",
    ]


def test_a_time_is_told_as_it_is_written(edited: Edited) -> None:
    valid = MOBILE + ", valid: {until: 2100-12-31T18:00+01:00}"
    assert text(compare(*edited((MOBILE, valid))), None).splitlines() == [
        "applications",
        "  ~ mobile",
        "      ends: + 2100-12-31T17:00:00Z",
    ]


def test_an_accounts_plan_and_state_are_told_with_whom_they_concern(edited: Edited) -> None:
    contact = "{acme: {contact: {email: api@acme.example}"
    after = text(compare(*edited((contact, contact + ", plans: [free], state: disabled"))), None)
    assert after.splitlines() == [
        "accounts",
        "  ~ acme  (of mobile)",
        "      state: live → disabled",
        "      plans: + free",
        "applications",
        "  ~ mobile",
        "      may no longer call orders: POST /orders",
        "      limit added: hits per minute and account: + 10",
        "      starts at 0: hits per minute and account (the limit is new)",
    ]


def test_prices_and_refusals_are_told_as_they_are_written(edited: Edited) -> None:
    prices = (
        "pricing: {currency: EUR, metrics: {hits: [{upto: 100, price: 0}, {price: 0.01}]}}\n    limits: {hits: [100"
    )
    words = "refusals: {over_limit: {status: 503, body: 'no {code}'}}\n    rules:"
    told = text(compare(*edited(("limits: {hits: [100", prices), ("rules:", words))), None).splitlines()
    assert "      refusals.over_limit: + 503 no {code}" in told
    assert "      gold: pricing.metrics.hits: + 0 up to 100, 0.01" in told
