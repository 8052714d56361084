"""The provider over HTTP, as a client and a resource server meet it."""

from __future__ import annotations

import asyncio

import httpx2
import jwt
import pytest

from gateway.devkit.provider import MOBILE, SHOP, Client, Provider

pytestmark = pytest.mark.asyncio(loop_scope="module")

TOKEN = "/protocol/openid-connect/token"
CERTS = "/protocol/openid-connect/certs"
GRANT = {"grant_type": "client_credentials"}


@pytest.fixture
def mobile(provider: Provider) -> Client:
    return provider.client(MOBILE)


async def test_discovery_names_only_what_is_served(http: httpx2.AsyncClient, provider: Provider) -> None:
    metadata = (await http.get("/.well-known/openid-configuration")).json()
    assert metadata["issuer"] == provider.issuer
    assert metadata["jwks_uri"] == provider.issuer + CERTS
    assert metadata["token_endpoint"] == provider.issuer + TOKEN
    assert "authorization_endpoint" not in metadata
    assert (await http.get(metadata["jwks_uri"])).status_code == 200


async def test_a_token_verifies_against_the_published_keys(
    http: httpx2.AsyncClient, provider: Provider, mobile: Client
) -> None:
    answer = await http.post(TOKEN, data=GRANT, auth=(MOBILE, mobile.secret))
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    body = answer.json()
    token = body.pop("access_token")
    assert body == {
        "expires_in": 300,
        "refresh_expires_in": 0,
        "token_type": "Bearer",
        "not-before-policy": 0,
        "scope": "email profile",
    }
    key = await asyncio.to_thread(jwt.PyJWKClient(provider.issuer + CERTS).get_signing_key_from_jwt, token)
    claims = jwt.decode(token, key, ["RS256"], audience="gateway", issuer=provider.issuer)
    assert claims["azp"] == MOBILE
    assert claims["clientHost"] == "127.0.0.1"


async def test_the_secret_may_be_in_the_form(http: httpx2.AsyncClient, provider: Provider) -> None:
    shop = provider.client(SHOP)
    answer = await http.post(TOKEN, data=GRANT | {"client_id": SHOP, "client_secret": shop.secret})
    assert answer.status_code == 200


async def test_tokens_over_http_follow_a_rotation(http: httpx2.AsyncClient, provider: Provider, mobile: Client) -> None:
    new = provider.keys.rotate()
    token = (await http.post(TOKEN, data=GRANT, auth=(MOBILE, mobile.secret))).json()["access_token"]
    assert jwt.get_unverified_header(token)["kid"] == new
    assert new in {key["kid"] for key in (await http.get(CERTS)).json()["keys"]}


async def test_openid_is_granted_when_asked_for(http: httpx2.AsyncClient, mobile: Client) -> None:
    answer = await http.post(TOKEN, data=GRANT | {"scope": "openid profile"}, auth=(MOBILE, mobile.secret))
    assert answer.json()["scope"] == "openid email profile"


@pytest.mark.parametrize(
    ("name", "secret"),
    [(MOBILE, "wrong"), ("nobody", "wrong"), ("", ""), (MOBILE, "ü")],
    ids=["wrong secret", "unknown client", "empty", "not ASCII"],
)
async def test_failed_basic_authentication_is_challenged(http: httpx2.AsyncClient, name: str, secret: str) -> None:
    answer = await http.post(TOKEN, data=GRANT, auth=(name, secret))
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == 'Basic realm="demo"'
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json()["error"] == "invalid_client"


@pytest.mark.parametrize("value", ["Basic", "Basic %%%", "Basic bm9jb2xvbg==", "Bearer abc"])
async def test_a_broken_authorization_header_is_a_failed_authentication(http: httpx2.AsyncClient, value: str) -> None:
    answer = await http.post(TOKEN, data=GRANT, headers={"Authorization": value})
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


async def test_a_wrong_secret_in_the_form_is_refused(http: httpx2.AsyncClient) -> None:
    answer = await http.post(TOKEN, data=GRANT | {"client_id": MOBILE, "client_secret": "wrong"})
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    assert "www-authenticate" not in answer.headers


async def test_no_authentication_is_refused(http: httpx2.AsyncClient) -> None:
    answer = await http.post(TOKEN, data=GRANT | {"client_id": MOBILE})
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ("grant_type=password", "unsupported_grant_type"),
        ("scope=email", "invalid_request"),
        ("grant_type=", "invalid_request"),
        ("grant_type=client_credentials&grant_type=client_credentials", "invalid_request"),
        ("grant_type=client_credentials&scope=admin", "invalid_scope"),
        ("grant_type=client_credentials&client_secret=again", "invalid_request"),
    ],
)
async def test_a_wrong_request_is_told_apart(http: httpx2.AsyncClient, mobile: Client, form: str, error: str) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
    answer = await http.post(TOKEN, content=form, headers=headers, auth=(MOBILE, mobile.secret))
    assert (answer.status_code, answer.json()["error"]) == (400, error)
    assert answer.headers["cache-control"] == "no-store"


async def test_other_media_types_are_refused(http: httpx2.AsyncClient, mobile: Client) -> None:
    answer = await http.post(TOKEN, json=GRANT, auth=(MOBILE, mobile.secret))
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


async def test_a_large_form_is_refused(http: httpx2.AsyncClient, mobile: Client) -> None:
    answer = await http.post(TOKEN, data=GRANT | {"x": "y" * 20_000}, auth=(MOBILE, mobile.secret))
    assert answer.status_code == 413


async def test_tokens_are_not_to_be_had_by_get(http: httpx2.AsyncClient) -> None:
    assert (await http.get(TOKEN)).status_code == 405


async def test_another_realm_does_not_exist(http: httpx2.AsyncClient, provider: Provider) -> None:
    answer = await http.get(provider.issuer.replace("/demo", "/other") + CERTS)
    assert (answer.status_code, answer.json()) == (404, {"error": "Realm does not exist"})
