"""What is told of the services of a host, and of which."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from gateway.config import load
from gateway.model import Identity, Limit
from gateway.pages.standings import Standings
from gateway.pages.usage import UsagePage
from gateway.quota.adjust import Account

PLANS = """
services:
  shop: {hosts: ["*.example.com"], upstream: {targets: ["http://127.0.0.1:9"]}, accept: [{sign_in: keycloak}],
    rules: [ANY /: hits]}
  staff: {path: /staff, upstream: {targets: ["http://127.0.0.1:9"]}, accept: [{sign_in: keycloak}],
    rules: [ANY /: hits]}
identity:
  keycloak: {oidc: {issuer: https://sso.example.com/realms/demo, audience: gateway, sign_in: {client_id: web}}}
plans:
  gold: {services: [shop]}
  inner: {services: [staff], limits: {hits: [5/day]}}
applications:
  website: {plans: [gold], client_ids: [web]}
  colleagues: {plans: [inner], match: {roles: [staff]}, each: client}
"""


class NoReader:
    """Nothing was counted."""

    async def read(self, scope: str, limits: Sequence[Limit]) -> list[Account]:
        raise AssertionError(scope)


@pytest.fixture
def standings(tmp_path: Path) -> Standings:
    (tmp_path / "plans.yaml").write_text(PLANS)
    config = load(tmp_path)
    return Standings(config, UsagePage(config, NoReader()))


async def test_services_of_the_host_with_a_plan_are_told(standings: Standings) -> None:
    person = Identity(subject="alice", client_id="web")
    told = {"shop": {"application": "website", "plan": "gold", "limits": []}}
    assert await standings(person, "keycloak", "a.example.com", "192.0.2.1") == told
    assert await standings(person, "keycloak", "example.org", "192.0.2.1") == {}
    assert await standings(person, "partner", "a.example.com", "192.0.2.1") == {}


async def test_who_would_not_be_let_in_is_told_nothing(standings: Standings) -> None:
    """Counted by client, and without one, as who comes by SAML may be."""
    person = Identity(subject="ada", roles=frozenset({"staff"}))
    assert await standings(person, "keycloak", "a.example.com", "192.0.2.1") == {}
