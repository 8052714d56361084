"""Keycloak's tokens at a running gateway, before a service that speaks mutual TLS."""

from __future__ import annotations

import base64
import json
import ssl
from collections.abc import AsyncIterator

import httpx2
import pytest
import pytest_asyncio

from .demo import MOBILE_APP, dpop_token, sign_in
from .realms import Admin, Realm, Token
from .stage import Gateway, Service, code, gateway_before

pytestmark = [
    pytest.mark.keycloak,
    pytest.mark.timeout(120, func_only=True),
    pytest.mark.asyncio(loop_scope="module"),
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(orders: Service, demo: Realm, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    async with gateway_before(orders, demo, tmp_path_factory.mktemp("gateway")) as running:
        yield running


async def test_a_client_reaches_the_service_which_is_told_who_asks(gateway: Gateway, demo: Realm) -> None:
    token = demo.token("mobile-app")
    answer = await gateway.get(token)
    assert answer.status_code == 200
    assert answer.json()["caller"] == {"application": "mobile", "plan": "partner", "subject": token.claims["sub"]}


async def test_a_user_reaches_the_service_under_the_clients_plan(gateway: Gateway, demo: Realm) -> None:
    token = sign_in(demo)["access_token"]
    caller = (await gateway.get(token)).json()["caller"]
    assert caller == {"application": "mobile", "plan": "partner", "subject": token.claims["sub"]}


@pytest.mark.parametrize("client", ["es256", "ps256", "eddsa", "rfc9068"])
async def test_every_way_of_signing_is_understood(gateway: Gateway, demo: Realm, client: str) -> None:
    assert (await gateway.get(demo.token(client))).status_code == 200


async def test_nobody_can_say_for_himself_who_he_is(gateway: Gateway, demo: Realm) -> None:
    answer = await gateway.get(demo.token("mobile-app"), X_Application_Id="customers", X_Plan="free", X_Subject="root")
    caller = answer.json()["caller"]
    assert (caller["application"], caller["plan"]) == ("mobile", "partner")
    assert caller["subject"] != "root"


async def test_without_a_token_the_way_to_get_in_is_told(gateway: Gateway) -> None:
    answer = await gateway.get(None)
    assert code(answer) == (401, "credentials_missing")
    assert answer.headers["www-authenticate"].startswith("Bearer ")


@pytest.mark.parametrize(
    ("client", "why"),
    [("no-audience", "audience_wrong"), ("lightweight", "audience_missing"), ("expired", "token_expired")],
)
async def test_a_token_that_is_not_for_now_and_here(gateway: Gateway, demo: Realm, client: str, why: str) -> None:
    answer = await gateway.get(demo.token(client))
    assert code(answer) == (401, why)
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]


@pytest.mark.parametrize(("kind", "why"), [("id_token", "token_type_wrong"), ("refresh_token", "algorithm_refused")])
async def test_a_users_other_tokens_open_nothing(gateway: Gateway, demo: Realm, kind: str, why: str) -> None:
    assert code(await gateway.get(sign_in(demo)[kind])) == (401, why)


async def test_a_token_bound_to_a_key_opens_nothing_without_the_key(gateway: Gateway, demo: Realm) -> None:
    assert (await gateway.get(dpop_token(demo))).status_code == 401


def tampered(token: Token, **claims: object) -> str:
    """The token with other claims, under the signature of the true ones."""
    header, _claims, signature = token.text.split(".")
    changed = json.dumps(token.claims | claims).encode()
    return f"{header}.{base64.urlsafe_b64encode(changed).rstrip(b'=').decode()}.{signature}"


async def test_a_changed_token_opens_nothing(gateway: Gateway, demo: Realm) -> None:
    token = demo.token("mobile-app")
    assert (await gateway.get(token)).status_code == 200
    assert code(await gateway.get(tampered(token, azp="es256"))) == (401, "signature_invalid")


async def test_a_token_of_another_realm_opens_nothing(gateway: Gateway, admin: Admin) -> None:
    other = admin.create_realm("other", MOBILE_APP)
    assert code(await gateway.get(other.token("mobile-app"))) == (401, "issuer_wrong")


async def test_a_client_of_no_application_is_known_and_not_permitted(gateway: Gateway, demo: Realm) -> None:
    assert code(await gateway.get(demo.token("guest-app"))) == (403, "no_application")


async def test_what_is_refused_never_reaches_the_service(gateway: Gateway, demo: Realm, orders: Service) -> None:
    before = orders.requests
    await gateway.get(None)
    await gateway.get(demo.token("no-audience"))
    await gateway.get(demo.token("expired"))
    assert orders.requests == before
    await gateway.get(demo.token("mobile-app"))
    assert orders.requests == before + 1


async def test_the_service_takes_nobody_but_the_gateway(orders: Service) -> None:
    async with orders.client("gateway") as known:
        assert (await known.get("/orders")).status_code == 200
    async with orders.client() as stranger:
        with pytest.raises((httpx2.TransportError, ssl.SSLError)):
            await stranger.get("/orders")
