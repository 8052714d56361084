"""Clients that register themselves at Keycloak, and what its admin events tell of those that the gateway keeps."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import pytest_asyncio

from gateway.clients.compare import compare, wanted
from gateway.clients.keycloak import Clients
from gateway.clients.sync import sync
from gateway.model import Application, ClientCredentials, Config, Oidc

from .realms import Admin, Realm, client, read_json
from .stage import Service, code, gateway_before

pytestmark = [
    pytest.mark.keycloak,
    pytest.mark.timeout(120, func_only=True),
    pytest.mark.asyncio(loop_scope="module"),
]


@pytest.fixture(scope="module")
def realm(admin: Admin) -> Iterator[Realm]:
    manager = client("gateway-clients")
    roles = {"realm-management": ["manage-clients"]}
    account = {"username": "service-account-gateway-clients", "serviceAccountClientId": "gateway-clients"}
    manager["users"] = [{**account, "clientRoles": roles}]
    realm = admin.create_realm("registration", manager)
    admin.call("PUT", "realms/registration", {"adminEventsEnabled": True, "adminEventsDetailsEnabled": True})
    yield realm


@pytest_asyncio.fixture(loop_scope="module")
async def clients(realm: Realm) -> AsyncIterator[Clients]:
    oidc = Oidc(name="keycloak", issuer=realm.issuer, audience=("gateway",))
    clients = Clients(oidc, ClientCredentials(client_id="gateway-clients", client_secret=realm.secret))
    yield clients
    await clients.aclose()


def registered(admin: Admin, name: str) -> dict[str, Any]:
    """A client that has registered itself by RFC 7591, with an initial access token."""
    initial = admin.call("POST", "realms/registration/clients-initial-access", {"count": 1, "expiration": 60})
    asked = {"client_name": name, "grant_types": ["client_credentials"], "redirect_uris": []}
    url = f"{admin.url}/realms/registration/clients-registrations/openid-connect"
    return read_json(httpx2.post(url, json=asked, headers={"Authorization": f"Bearer {initial['token']}"}))


async def adopted(clients: Clients, name: str, client_id: str) -> None:
    config = Config(applications={name: Application(name=name, plans=(), client_ids=(client_id,))})
    actions = compare(wanted(config, 0.0), await clients.all(), "gateway", adopt=True)
    assert [done.failure async for done in sync(clients, actions, "gateway")] == [None] * len(actions)


async def test_who_registers_is_let_in_once_it_is_an_applications(
    admin: Admin, realm: Realm, clients: Clients, orders: Service, tmp_path: Path
) -> None:
    """Its tokens are not meant for the gateway until `gateway clients sync --adopt` has seen to that."""
    made = registered(admin, "newcomer")
    own = Realm(admin, "registration", made["client_secret"])
    async with gateway_before(orders, realm, tmp_path) as gateway:
        before = await gateway.get(own.token(made["client_id"]))
        assert code(before)[0] == 401
        assert code(before)[1] in ("audience_missing", "audience_wrong")
        await adopted(clients, "newcomer", made["client_id"])
        assert code(await gateway.get(own.token(made["client_id"]))) == (403, "no_application")


async def test_admin_events_tell_what_the_gateway_has_done_and_as_whom(
    admin: Admin, realm: Realm, clients: Clients
) -> None:
    config = Config(applications={"told": Application(name="told", plans=(), client_ids=("told-app",))})
    actions = compare(wanted(config, 0.0), await clients.all(), "gateway")
    made = [done async for done in sync(clients, actions, "gateway")]
    assert {done.failure for done in made} == {None}
    here = (await clients.all())["told-app"]["id"]
    events = admin.call("GET", "realms/registration/admin-events?operationTypes=CREATE&resourceTypes=CLIENT")
    event = next(event for event in events if event["resourcePath"] == f"clients/{here}")
    known = admin.call("GET", "realms/registration/clients?clientId=gateway-clients")[0]["id"]
    assert event["authDetails"]["clientId"] == known
