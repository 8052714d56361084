"""Who is over a new limit at once, by what was counted."""

from __future__ import annotations

from gateway.diff.compare import compare
from gateway.diff.difference import Over
from gateway.diff.over import over_at_once
from gateway.diff.text import text
from gateway.model import Period
from gateway.quota.census import Units
from gateway.quota.periods import window
from gateway.store.keys import Counted

from .conftest import Edited

NOW = 1_782_898_200.0  # Wednesday, 1 July 2026, 09:30 UTC
MONTH = window(Period.MONTH, "UTC", NOW)


def month(tag: str, spent: int, topped: int = 0, start: float = MONTH.start) -> tuple[Counted, Units]:
    return Counted(tag, "gold", "", "hits", "month", "UTC", int(start)), Units(spent, 0, topped, 7, 1, ())


def test_who_has_used_more_than_the_new_limit_is_named(edited: Edited) -> None:
    before, after = edited(("5000/month", "1000/month"))
    counters = [
        month("mobile", 1000),
        month("web", 999),
        month("staff/ann", 3000),
        month("staff/bob", 1200, topped=201),
    ]
    over = over_at_once(before, after, counters, NOW)
    assert over == [
        Over("mobile", "gold", "hits per month", 1000, 5000, 1000, MONTH.end),
        Over("staff/ann", "gold", "hits per month", 3000, 5000, 1000, MONTH.end),
    ]
    assert text(compare(before, after), over).splitlines()[-3:] == [
        "over the new limit at once",
        "  mobile: 1000 of 1000 hits per month (gold; the limit was 5000), until 2026-08-01T00:00:00Z",
        "  staff/ann: 3000 of 1000 hits per month (gold; the limit was 5000), until 2026-08-01T00:00:00Z",
    ]


def test_who_was_over_before_is_not_named(edited: Edited) -> None:
    assert over_at_once(*edited(("5000/month", "4000/month")), [month("mobile", 5000)], NOW) == []


def test_a_limit_that_lets_more_in_has_nobody_over_it(edited: Edited) -> None:
    configs = edited(("5000/month", "{limit: 10/month, over: allow}"))
    assert over_at_once(*configs, [month("mobile", 100)], NOW) == []


def test_counters_that_do_not_count_any_more_are_not_looked_at(edited: Edited) -> None:
    """Of other windows, of who is not an application, of users where all count together, of another plan."""
    before, after = edited(("5000/month", "10/month"), ("web: {plans: [gold]", "web: {plans: [free]"))
    june = window(Period.MONTH, "UTC", MONTH.start - 1).start
    counters = [month("mobile", 90, start=june), month("tv", 90), month("mobile/ann", 90), month("web", 90)]
    assert over_at_once(before, after, counters, NOW) == []


def test_who_gets_a_plan_whose_counter_is_full_already_is_named(edited: Edited) -> None:
    """It had the plan before, this month."""
    before, after = edited(("scanner: {plans: [free]", "scanner: {plans: [gold]"))
    (over,) = over_at_once(before, after, [month("scanner", 5000)], NOW)
    assert (over.scope, over.before, over.after) == ("scanner", None, 5000)


def test_users_accounts_and_services_have_limits_of_their_own(edited: Edited) -> None:
    each = ((9, "user"), (99, "account"), (999, "service"))
    limits = ", ".join(f"{{limit: {many}/month, per: {whose}}}" for many, whose in each)
    owned = ("web-app]", "web-app], account: acme"), ("roles: [staff]}", "roles: [staff]}, account: acme")
    before, after = edited(("[100/minute, 5000/month]", f"[{limits}]"), *owned)
    counters = [
        month("user%3Amobile/ann", 9),
        month("user%3Amobile/bob", 8),
        month("user%3Atv/eve", 9),
        month("account%3Aacme", 99),
        month("account%3Aother", 99),
        month("service%3Aorders", 999),
        month("mobile", 5000),
    ]
    assert [(over.scope, over.limit) for over in over_at_once(before, after, counters, NOW)] == [
        ("account:acme", "hits per month and account"),
        ("service:orders", "hits per month and service"),
        ("user:mobile/ann", "hits per month and user"),
    ]


def test_a_limit_in_shadow_has_nobody_over_it(edited: Edited) -> None:
    configs = edited(("5000/month", "{limit: 10/month, shadow: true}"))
    assert over_at_once(*configs, [month("mobile", 100)], NOW) == []
