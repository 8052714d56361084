"""What a month's use costs: 3scale's ranges, exact to the last decimal."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config import load
from gateway.gate import Gate
from gateway.model import Config, Identity, Range, Service, cost_of, shown
from gateway.quota.census import Units
from gateway.quota.cost import bills, window_of
from gateway.quota.memory import MemoryLedger
from gateway.routing.router import compile_router
from gateway.store.keys import Counted

PLANS = """
services:
  orders:
    path: /orders
    upstream: {targets: ["http://127.0.0.1:9000"]}
    accept: [{jwt: keycloak}]
    metrics: {writes: {parent: hits}}
    rules: [GET /orders: hits, POST /orders: writes]
identity:
  keycloak: {oidc: {issuer: https://sso.example.com/realms/demo, audience: gateway}}
plans:
  gold:
    services: [orders]
    limits: {hits: [5000/month, 100/minute]}
    pricing:
      currency: EUR
      monthly: 49
      setup: 10
      metrics:
        hits: [{upto: 1000, price: 0}, {upto: 10000, price: 0.002}, {price: 0.001}]
        orders.writes: 0.0101
  free: {services: [orders]}
  company: {services: [orders], pricing: {currency: USD, time_zone: Asia/Tokyo, metrics: {hits: 0.5}}}
accounts: {acme: {plans: [company]}, gone: {state: disabled, plans: [company]}}
applications:
  mobile: {account: acme, plans: [gold], client_ids: [mobile-app], valid: {from: 2026-11-05}}
  taster: {plans: [gold], client_ids: [taster-app], since: 2026-11-01, trial: 30d}
  later: {plans: [gold], client_ids: [later-app], valid: {from: 2026-12-01}}
  gratis: {plans: [free], client_ids: [gratis-app]}
  customers: {plans: [gold], match: {roles: [customer]}, each: client}
"""


@pytest.fixture
def config(tmp_path: Path) -> Config:
    (tmp_path / "plans.yaml").write_text(PLANS)
    return load(tmp_path)


def counted(tag: str, plan: str, metric: str, spent: int, service: str = "", zone: str = "UTC", month: str = "2026-11"):
    name = Counted(tag, plan, service, metric, "month", zone, int(window_of(month, zone).start))
    return name, Units(spent, 0, 0, 1, 1, ())


def test_a_bill_is_the_sum_of_its_ranges_and_fees(config: Config) -> None:
    counters = [
        counted("mobile", "gold", "hits", 10_001),
        counted("mobile", "gold", "writes", 3, service="orders"),
        counted("mobile", "gold", "hits", 999, month="2026-10"),
        counted("user%3Amobile/alice", "gold", "hits", 7),
        counted("customers/shop", "gold", "hits", 1_500),
        counted("taster", "gold", "hits", 5_000),
        counted("account%3Aacme", "company", "hits", 3, zone="Asia/Tokyo"),
        counted("account%3Aacme", "company", "hits", 9),  # another zone's month
        counted("gratis", "free", "hits", 9),
    ]
    found = {(bill.scope, bill.plan): bill.told() for bill in bills(config, counters, "2026-11")}
    assert {key: bill["total"] for key, bill in found.items()} == {
        ("account:acme", "company"): "1.5000",
        ("customers/shop", "gold"): "50.0000",
        ("mobile", "gold"): "77.0313",  # 49 + 10 + 9,000 × 0.002 + 1 × 0.001 + 3 × 0.0101
        ("taster", "gold"): "0.0000",
    }
    assert json.loads(json.dumps(found["mobile", "gold"])) == {
        "scope": "mobile", "plan": "gold", "month": "2026-11", "currency": "EUR",
        "monthly": "49.0000", "setup": "10.0000", "total": "77.0313", "trial": False,
        "lines": [
            {"metric": "hits", "units": 10_001, "cost": "18.0010"},
            {"metric": "orders.writes", "units": 3, "cost": "0.0303"},
        ],
    }  # fmt: skip


def test_who_used_nothing_pays_for_the_month_and_once_for_the_setup(config: Config) -> None:
    totals = {
        month: {bill.scope: bill.total for bill in bills(config, [], month) if bill.plan == "gold"}
        for month in ("2026-10", "2026-11", "2026-12")
    }
    assert totals["2026-10"] == {"taster": 0}
    assert totals["2026-11"] == {"mobile": Decimal(59), "taster": 0}
    assert totals["2026-12"] == {"later": Decimal(59), "mobile": Decimal(49), "taster": 0}
    assert [bill.scope for bill in bills(config, [], "2026-12", "later")] == ["later"]


RANGES = st.lists(st.tuples(st.integers(1, 50), st.decimals(0, 9, places=4)), max_size=4)


@given(st.integers(0, 300), RANGES, st.decimals(0, 9, places=4))
def test_ranges_cost_what_their_units_do_one_by_one(units: int, steps: list[Any], last: Decimal) -> None:
    upto, ranges = 0, []
    for width, price in steps:
        upto += width
        ranges.append(Range(upto, price))
    ranges.append(Range(None, last))
    one_by_one = sum(next(price for end, price in ranges if end is None or unit <= end) for unit in range(1, units + 1))
    assert cost_of(units, tuple(ranges)) == one_by_one


class Passport:
    def identify(self, service: Service, ask: Any, done: Callable[[Any], None]) -> Identity:
        return Identity(subject="alice", client_id="mobile-app")


class Request:
    method, host, path, query, peer, certificate = b"POST", b"a", b"/orders", b"", "192.0.2.1", None


async def test_months_of_priced_metrics_are_counted_and_nobody_is_told(config: Config) -> None:
    """A limit per month counts already; of others there is a counter that is no limit."""
    limits = config.plans["gold"].limits
    meters = [limit for limit in limits if limit.meter]
    assert [(limit.service, limit.metric) for limit in meters] == [("orders", "writes")]
    assert meters[0] not in shown(limits)
    ledger = MemoryLedger(lambda: 0.0, lambda alert: pytest.fail("it raises no alert"))
    gate = Gate(config, compile_router(config.services.values()), Passport(), ledger, {}, lambda *_: b"")
    request: Any = Request()
    for _ in range(3):
        admission = gate.admit(request, gate.route(request), lambda _: None)
    assert admission is not None and admission.outcome is not None
    assert not admission.outcome.limit.meter  # type: ignore[union-attr]
    assert [account.units.spent for account in await ledger.read("mobile", meters)] == [3]
    only = config.plans["company"].limits
    assert [limit.meter for limit in only] == [True]
