"""A client reads its own usage: whose it is, what of it is told, and that nobody asks the store too often."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from gateway.config import load
from gateway.errors import GatewayError, Unavailable
from gateway.gate import Admission, Gate
from gateway.model import Identity, Limit, Service
from gateway.pages.usage import UsagePage
from gateway.quota.adjust import Account
from gateway.quota.memory import MemoryLedger
from gateway.routing.router import compile_router
from gateway.site import permits_of
from gateway.store import StoreAway

PLANS = """
services:
  orders:
    path: /orders
    usage_path: /orders/usage
    upstream: {targets: ["http://127.0.0.1:9000"]}
    accept: [{jwt: keycloak}]
    rules: [ANY /orders: hits]
    limits: {hits: [1000/second]}
identity:
  keycloak: {oidc: {issuer: https://sso.example.com/realms/demo, audience: gateway}}
plans:
  gold:
    services: [orders]
    allow: {orders: [GET /orders$]}
    limits: {hits: [2/day, {limit: 9/eternity, per: user}, {limit: 1/hour, shadow: true}]}
  company: {services: [orders], limits: {hits: [50/month]}}
accounts: {acme: {plans: [company]}}
applications:
  mobile: {account: acme, plans: [gold], client_ids: [mobile-app], limits: {hits: [3/day]}}
"""
NOON = 4_102_747_200.0  # 2100-01-04T12:00:00Z


class Request:
    host, query, peer, certificate = b"a", b"", "192.0.2.1", None

    def __init__(self, path: bytes, method: bytes) -> None:
        self.path, self.method = path, method


class Passport:
    def identify(self, service: Service, ask: Any, done: Callable[[Any], None]) -> Identity:
        return Identity(subject="alice", client_id="mobile-app")


class Stand:
    def __init__(self, folder: Path) -> None:
        (folder / "plans.yaml").write_text(PLANS)
        config = load(folder)
        self.ledger = MemoryLedger(lambda: NOON, lambda alert: None)
        router = compile_router(config.services.values())
        self.gate = Gate(
            config, router, Passport(), self.ledger, permits_of(config), lambda *_: b"", clock=lambda: NOON
        )
        self.now = 0.0
        self.reads = 0
        self.away = False
        self.page = UsagePage(config, self, lambda: self.now)

    async def read(self, scope: str, limits: Sequence[Limit]) -> list[Account]:
        self.reads += 1
        if self.away:
            raise StoreAway("it does not answer")
        return await self.ledger.read(scope, limits)

    def ask(self, path: bytes, method: bytes = b"GET") -> Admission:
        request: Any = Request(path, method)
        admission = self.gate.admit(request, self.gate.route(request), lambda _: None)
        assert admission is not None
        return admission

    async def told(self) -> dict[str, Any]:
        return await self.page.told(self.ask(b"/orders/usage"), "192.0.2.1")


@pytest.fixture
def stand(tmp_path: Path) -> Stand:
    return Stand(tmp_path)


async def test_all_that_holds_for_a_client_is_told_and_reading_costs_nothing(stand: Stand) -> None:
    for _ in range(3):
        stand.ask(b"/orders")
    with pytest.raises(GatewayError):
        stand.ask(b"/orders")
    told = await stand.told()
    assert (told["application"], told["plan"]) == ("mobile", "gold")
    rows = [tuple(row.values()) for row in told["limits"]]
    assert rows == [
        ("gold", "hits", "eternity", "user", 9, 3, 6, None),
        ("gold", "hits", "day", "application", 3, 3, 0, "2100-01-05T00:00:00Z"),
        ("company", "hits", "month", "account", 50, 3, 47, "2100-02-01T00:00:00Z"),
    ]


async def test_its_path_is_the_pages_for_get_and_head_alone(stand: Stand) -> None:
    for method in (b"GET", b"HEAD"):
        admission = stand.ask(b"/orders/usage", method)
        assert (admission.upstream, admission.outcome) == (".usage", None)
    with pytest.raises(GatewayError, match="does not include"):
        stand.ask(b"/orders/usage", b"POST")
    with pytest.raises(GatewayError, match="does not include"):
        stand.ask(b"/orders/usages")


async def test_the_store_is_asked_once_a_second(stand: Stand) -> None:
    for _ in range(5):
        await stand.told()
    assert stand.reads == 3  # a scope each
    stand.now = 1.0
    await stand.told()
    assert stand.reads == 6


async def test_a_store_that_is_away_is_503(stand: Stand) -> None:
    stand.away = True
    with pytest.raises(Unavailable) as refused:
        await stand.told()
    assert refused.value.code == "ledger_down"
