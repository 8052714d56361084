"""Which limits count in a scope, by the plans."""

from __future__ import annotations

import pytest

from gateway.model import NO_PLAN, Account, Application, Config, Down, DownMode, Limit, Per, Period, Plan
from gateway.quota.owners import UnknownError, limits_in, named


def service_s_own(down: Down) -> Limit:
    return Limit(plan=NO_PLAN, service="orders", per=Per.SERVICE, period=Period.SECOND, value=90, down=down)


def config() -> Config:
    """Two plans that open one service, with different words for when its store is away."""
    gold = Plan(
        name="gold",
        services=("orders",),
        limits=(
            Limit(plan="gold", period=Period.DAY, value=9),
            Limit(plan="gold", period=Period.MINUTE, per=Per.USER, value=2),
            Limit(plan="gold", period=Period.YEAR, per=Per.ACCOUNT, value=99),
            service_s_own(Down()),
        ),
    )
    free = Plan(name="free", services=("orders",), limits=(service_s_own(Down(mode=DownMode.OPEN)),))
    return Config(
        plans={"gold": gold, "free": free},
        accounts={"acme": Account(name="acme")},
        applications={
            "mobile": Application(name="mobile", plans=("gold",), account="acme"),
            "web": Application(name="web", plans=("gold",), account="acme"),
        },
    )


@pytest.mark.parametrize(
    ("scope", "names"),
    [
        ("mobile", ["hits/day"]),
        ("user:mobile/alice", ["hits/minute"]),
        ("account:acme", ["hits/year"]),
        ("service:orders", ["orders.hits/second"]),  # once: it is one counter, whatever the plan
    ],
)
def test_the_limits_of_a_scope(scope: str, names: list[str]) -> None:
    assert [named(limit) for limit in limits_in(config(), scope)] == names


@pytest.mark.parametrize(
    "scope", ["desktop", "user:desktop/alice", "account:other", "service:stock", "address:mobile/::1"]
)
def test_what_the_plans_do_not_know_is_refused(scope: str) -> None:
    with pytest.raises(UnknownError):
        limits_in(config(), scope)
