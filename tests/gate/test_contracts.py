"""What holds for an application: limits of its own, its plans', and its account's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.config import load
from gateway.errors import GatewayError
from gateway.gate import Gate
from gateway.model import Config, Identity, Per, Service, limits_of, plans_of
from gateway.quota.holding import Holding
from gateway.quota.memory import MemoryLedger
from gateway.quota.owners import limits_in, named
from gateway.routing.router import compile_router
from gateway.site import permits_of
from gateway.store.keys import Counted

BASE = """
services:
  orders:
    path: /orders
    upstream: {targets: ["http://127.0.0.1:9000"]}
    accept: [{jwt: keycloak}]
    rules: [GET /orders: hits, POST /orders: hits]
    limits: {hits: [1000/second]}
identity:
  keycloak: {oidc: {issuer: https://sso.example.com/realms/demo, audience: gateway}}
plans:
  gold: {services: [orders], limits: {hits: [2/eternity, 50/year]}}
"""


class Request:
    method, host, path, query, peer, certificate = b"GET", b"a", b"/orders", b"", "192.0.2.1", None


class Passport:
    def identify(self, service: Service, ask: Any, done: Callable[[Any], None]) -> Identity:
        return Identity(subject="alice", client_id="mobile-app")


def config(tmp_path: Path, text: str) -> Config:
    (tmp_path / "plans.yaml").write_text(BASE + text)
    return load(tmp_path)


def gate(found: Config, ledger: MemoryLedger) -> Gate:
    router = compile_router(found.services.values())
    return Gate(found, router, Passport(), ledger, permits_of(found), lambda *_: b"")


def admitted(at: Gate, method: bytes = b"GET") -> int:
    """Requests until the first refusal."""
    for count in range(100):
        request: Any = Request()
        request.method = method
        try:
            at.admit(request, at.route(request), lambda _: None)
        except GatewayError:
            return count
    return 100


def test_a_limit_of_its_own_goes_on_with_the_usage(tmp_path: Path) -> None:
    ledger = MemoryLedger(lambda: 0.0, lambda alert: None)
    app = "applications: {mobile: {plans: [gold], client_ids: [mobile-app]%s}}"
    assert admitted(gate(config(tmp_path, app % ""), ledger)) == 2
    assert admitted(gate(config(tmp_path, app % ", limits: {hits: [5/eternity]}"), ledger)) == 3
    assert admitted(gate(config(tmp_path, app % ", exempt: [hits/eternity]"), ledger)) == 45


def test_what_it_does_not_say_is_the_plans(tmp_path: Path) -> None:
    found = config(
        tmp_path,
        """
  silver:
    services: [orders]
    over: allow
    alerts: {at: [50, 150]}
    limits: {hits: [{limit: 9/day, shadow: true}, 7/hour]}
applications: {mobile: {plans: [silver], client_ids: [mobile-app], limits: {hits: [90/day, 70/hour, 5/week]}}}""",
    )
    limits = {named(limit): limit for limit in limits_in(found, "mobile")}
    told = {name: (limit.value, limit.over.value, limit.shadow, limit.bins) for name, limit in limits.items()}
    assert told == {
        "hits/day": (90, "allow", True, (50, 150)),
        "hits/hour": (70, "allow", False, (50, 150)),
        "hits/week": (5, "allow", False, (50, 150)),
    }
    assert {limit.plan for limit in limits.values()} == {"silver"}


def test_an_accounts_plans_are_counted_for_all_its_applications_and_limits_of_services_once(tmp_path: Path) -> None:
    found = config(
        tmp_path,
        """
  users: {services: [orders], limits: {hits: [{limit: 9/day, per: user}]}, allow: {orders: [GET /orders]}}
accounts: {acme: {plans: [users]}, beta: {plans: [gold]}}
applications:
  mobile: {account: acme, plans: [gold], client_ids: [mobile-app]}
  web: {account: beta, plans: [gold], client_ids: [web-app]}""",
    )
    mobile, web = (limits_of(plans_of(found, found.applications[name])) for name in ("mobile", "web"))
    assert [(limit.plan, named(limit), limit.per.value) for limit in mobile] == [
        ("gold", "hits/eternity", "application"),
        ("gold", "hits/year", "application"),
        ("-", "orders.hits/second", "service"),
        ("users", "hits/day", "user"),
    ]
    assert [limit.per for limit in web if limit.plan == "gold"] == [Per.APPLICATION] * 2 + [Per.ACCOUNT] * 2
    at = gate(found, MemoryLedger(lambda: 0.0, lambda alert: None))
    assert admitted(at, b"POST") == 0  # the account's plan does not allow it
    assert admitted(at) == 2
    assert [named(limit) for limit in limits_in(found, "account:beta")] == ["hits/eternity", "hits/year"]


@pytest.mark.parametrize(
    ("tag", "value"),
    [("mobile", 5), ("web", 2), ("account:acme", 2), ("user:mobile/alice", None), ("gone", 2)],
)
def test_a_counter_is_of_the_limit_that_holds_for_its_owner(tmp_path: Path, tag: str, value: int | None) -> None:
    found = config(
        tmp_path,
        """
accounts: {acme: {plans: [gold]}}
applications:
  mobile: {account: acme, plans: [gold], client_ids: [mobile-app], limits: {hits: [5/eternity]}, exempt: [hits/year]}
  web: {account: acme, plans: [gold], client_ids: [web-app]}""",
    )
    limit = Holding(found).limit(Counted(tag.replace(":", "%3A"), "gold", "", "hits", "eternity", "UTC", 0))
    assert (limit and limit.value) == value
    assert Holding(found).limit(Counted("mobile", "gold", "", "hits", "year", "UTC", 0)) is None
