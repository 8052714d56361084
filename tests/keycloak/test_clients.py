"""`gateway clients` against a real Keycloak."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from gateway.clients.compare import What, compare, wanted
from gateway.clients.keycloak import Clients, Refused
from gateway.clients.sync import Done, sync
from gateway.model import Application, ClientCredentials, Config, Oidc, State

from .realms import Admin, Realm, client

pytestmark = [pytest.mark.keycloak, pytest.mark.timeout(120, func_only=True)]


@pytest.fixture(scope="module")
def realm(admin: Admin) -> Iterator[Realm]:
    manager = client("gateway-clients")
    roles = {"realm-management": ["manage-clients"]}
    name = "service-account-gateway-clients"
    manager["users"] = [{"username": name, "serviceAccountClientId": "gateway-clients", "clientRoles": roles}]
    yield admin.create_realm("clients", manager, client("others-app"), client("weak"))


@pytest.fixture
async def clients(realm: Realm) -> AsyncIterator[Clients]:
    oidc = Oidc(name="keycloak", issuer=realm.issuer, audience=("gateway",))
    clients = Clients(oidc, ClientCredentials(client_id="gateway-clients", client_secret=realm.secret))
    yield clients
    await clients.aclose()


async def synced(clients: Clients, config: Config, **options: bool) -> list[Done]:
    actions = compare(wanted(config, 0.0), await clients.all(), "gateway", **options)
    return [done async for done in sync(clients, actions, "gateway")]


def plans(name: str, **more: object) -> Config:
    return Config(applications={name: Application(name=name, plans=(), client_ids=(f"{name}-app",), **more)})


async def test_a_client_is_made_follows_its_application_and_goes(clients: Clients, admin: Admin) -> None:
    (made,) = await synced(clients, plans("mobile"))
    assert (made.action.what, made.failure) == (What.CREATE, None)
    assert made.secret is not None
    own = Realm(admin, "clients", made.secret)
    token = own.token("mobile-app")
    audience = token.claims["aud"]
    assert "gateway" in ([audience] if isinstance(audience, str) else audience)
    assert await synced(clients, plans("mobile")) == []
    (stopped,) = await synced(clients, plans("mobile", state=State.SUSPENDED))
    assert (stopped.action.what, stopped.failure) == (What.DISABLE, None)
    assert (await clients.all())["mobile-app"]["enabled"] is False
    assert await synced(clients, plans("mobile", state=State.SUSPENDED)) == []
    (again,) = await synced(clients, plans("mobile"))
    assert (again.action.what, again.failure) == (What.ENABLE, None)
    assert own.token("mobile-app").claims["azp"] == "mobile-app"
    (gone,) = await synced(clients, Config(), prune=True)
    assert (gone.action.what, gone.failure) == (What.DELETE, None)
    assert "mobile-app" not in await clients.all()


async def test_what_others_made_is_adopted_with_all_that_it_has(clients: Clients) -> None:
    before = (await clients.all())["others-app"]
    assert await synced(clients, plans("others")) == []
    done = await synced(clients, plans("others"), adopt=True)
    assert [(one.action.what, one.failure) for one in done] == [(What.ADOPT, None), (What.AUDIENCE, None)]
    after = (await clients.all())["others-app"]
    assert await synced(clients, plans("others"), adopt=True) == []
    changing = {"attributes", "protocolMappers"}
    kept = before.keys() - changing
    assert {name: unordered(after[name]) for name in kept} == {name: unordered(before[name]) for name in kept}
    assert after["attributes"].items() >= before["attributes"].items()


def unordered(value: object) -> object:
    """Keycloak tells lists of scopes in any order."""
    return sorted(value) if isinstance(value, list) else value


async def test_an_account_without_the_role_is_told_which(realm: Realm) -> None:
    oidc = Oidc(name="keycloak", issuer=realm.issuer, audience=("gateway",))
    weak = Clients(oidc, ClientCredentials(client_id="weak", client_secret=realm.secret))
    with pytest.raises(Refused, match="manage-clients"):
        await weak.all()
    await weak.aclose()
