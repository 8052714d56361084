"""A provider that comes late and changes its keys, credentials that belong together, and plans that roles open."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import pytest_asyncio
from rigs.gateway import Gateway
from rigs.processes import free_address
from rigs.stage import ORDERS, Stage, providing
from rigs.waiting import until

from gateway.devkit.servers import listener
from gateway.identity.api_keys import create

pytestmark = pytest.mark.asyncio(loop_scope="session")

MOBILE, SCANNER = create(), create()
PLANS = f"""
plans:
  gold: {{services: [orders]}}
  free: {{services: [orders], limits: {{hits: [2/eternity]}}}}
applications:
  mobile: {{plans: [gold], client_ids: [mobile-app], api_keys: ["{MOBILE.digest}"]}}
  scanner: {{plans: [gold], api_keys: ["{SCANNER.digest}"]}}
  customers: {{plans: [free], match: {{roles: [customer]}}, each: client}}
  clerks: {{plans: [free], match: {{roles: ["shop:clerk"]}}, each: user}}
"""
BOTH = ORDERS.replace("accept: [{jwt: keycloak}]", "accept: [{jwt: keycloak, api_key: {header: X-Api-Key}}]")


def code(answer: httpx2.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


# --- the provider


@pytest.mark.slow
async def test_a_provider_may_come_after_the_gateway(stage: Stage, tmp_path: Path) -> None:
    address = free_address()
    issuer = f"http://{address}/realms/demo"
    async with stage.gateway(tmp_path, ORDERS, PLANS, start=False, ISSUER=issuer) as gateway:
        await gateway.start(missing="identity keycloak: no keys yet: ")
        early = await gateway.get(token=stage.token(iss=issuer))
        assert code(early) == (503, "identity_unavailable")
        assert early.headers["retry-after"] == "5"
        async with providing(at(address)) as provider:
            assert provider.issuer == issuer
            await until(gateway.is_ready)
            assert (await gateway.get(token=provider.token("mobile-app"))).status_code == 200
            stranger = stage.token(iss=issuer)
            assert code(await gateway.get(token=stranger)) == (401, "key_unknown")


async def test_a_provider_may_leave_once_its_keys_are_known(stage: Stage, tmp_path: Path) -> None:
    address = free_address()
    issuer = f"http://{address}/realms/demo"
    async with stage.gateway(tmp_path, ORDERS, PLANS, start=False, ISSUER=issuer) as gateway:
        async with providing(at(address)) as provider:
            await gateway.start()
        assert (await gateway.get(token=provider.token("mobile-app"))).status_code == 200
        assert await gateway.missing() == []


async def test_new_keys_are_taken_without_a_restart_and_withdrawn_ones_end(stage: Stage, tmp_path: Path) -> None:
    async with (
        providing(listener()) as provider,
        stage.gateway(tmp_path, ORDERS, PLANS, ISSUER=provider.issuer) as gateway,
    ):
        first = provider.keys.active("RS256").kid
        old = provider.token("mobile-app")
        assert (await gateway.get(token=old)).status_code == 200
        provider.keys.rotate()
        assert (await gateway.get(token=provider.token("mobile-app"))).status_code == 200
        assert (await gateway.get(token=old)).status_code == 200
        provider.keys.remove(first)
        provider.keys.rotate()
        assert (await gateway.get(token=provider.token("mobile-app"))).status_code == 200
        assert code(await gateway.get(token=old)) == (401, "key_unknown")


# --- credentials and roles


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def gateway(stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    async with stage.gateway(tmp_path_factory.mktemp("roles"), ORDERS, PLANS) as gateway:
        yield gateway


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def strict(stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    """It wants a token and a key together."""
    async with stage.gateway(tmp_path_factory.mktemp("both"), BOTH, PLANS) as gateway:
        yield gateway


async def test_a_token_and_a_key_of_one_application_open_together(strict: Gateway, stage: Stage) -> None:
    answer = await strict.get(token=stage.token(sub="alice"), key=MOBILE.key)
    assert answer.json()["caller"] == {"application": "mobile", "plan": "gold", "subject": "alice"}


async def test_one_of_them_alone_opens_nothing(strict: Gateway, stage: Stage) -> None:
    assert code(await strict.get(token=stage.token())) == (401, "credentials_missing")
    assert code(await strict.get(key=MOBILE.key)) == (401, "credentials_missing")


async def test_a_token_and_a_key_of_two_applications_open_nothing(strict: Gateway, stage: Stage) -> None:
    assert code(await strict.get(token=stage.token(), key=SCANNER.key)) == (403, "credentials_differ")


async def test_a_bad_one_beside_a_good_one_opens_nothing(strict: Gateway, stage: Stage) -> None:
    assert code(await strict.get(token=stage.token(), key=create().key)) == (401, "api_key_invalid")
    assert code(await strict.get(token=stage.token(lifespan=-60), key=MOBILE.key)) == (401, "token_expired")


async def test_a_role_opens_a_plan_and_each_client_has_its_own_counters(gateway: Gateway, stage: Stage) -> None:
    shop, tea = stage.token("shop-app"), stage.token("tea-shop")
    answers = [await gateway.get(token=shop) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[0].json()["caller"]["application"] == "customers"
    assert answers[2].json()["application"] == "customers/shop-app"
    assert (await gateway.get(token=tea)).status_code == 200


async def test_a_role_of_a_client_opens_a_plan_and_each_user_has_its_own_counters(
    gateway: Gateway, stage: Stage
) -> None:
    def clerk(subject: str) -> str:
        roles: dict[str, Any] = {"shop": {"roles": ["clerk"]}}
        return stage.token("guest-app", sub=subject, resource_access=roles)

    statuses = [(await gateway.get(token=clerk("alice"))).status_code for _ in range(3)]
    assert statuses == [200, 200, 429]
    assert (await gateway.get(token=clerk("bob"))).status_code == 200


async def test_a_role_of_another_name_opens_nothing(gateway: Gateway, stage: Stage) -> None:
    realm_role = stage.token("guest-app", realm_access={"roles": ["clerk", "shop"]})
    assert code(await gateway.get(token=realm_role)) == (403, "no_application")


async def test_the_clients_application_comes_before_its_roles(gateway: Gateway, stage: Stage) -> None:
    answer = await gateway.get(token=stage.token(realm_access={"roles": ["customer"]}))
    assert answer.json()["caller"]["application"] == "mobile"


def at(address: str) -> socket.socket:
    return listener(int(address.rpartition(":")[2]))
