"""Tokens in process: Keycloak's claims, replaced at will."""

from __future__ import annotations

from typing import Any

import jwt
import pytest

from gateway.devkit.keys import KeyRing
from gateway.devkit.provider import MOBILE, NO_AUDIENCE, SHOP, Client, Provider, demo_clients

ISSUER = "http://127.0.0.1:8180/realms/demo"
NOW = 1_800_000_000.9


@pytest.fixture(scope="module")
def keys() -> KeyRing:
    return KeyRing()


@pytest.fixture
def provider(keys: KeyRing) -> Provider:
    return Provider(ISSUER, demo_clients(), clock=lambda: NOW, keys=keys)


def claims_of(token: str) -> dict[str, Any]:
    return jwt.decode(token, options={"verify_signature": False})


def test_claims_are_those_of_a_keycloak_service_account(provider: Provider) -> None:
    claims = claims_of(provider.token(MOBILE))
    assert claims.pop("jti").startswith("trrtcc:")
    subject = claims.pop("sub")
    assert claims == {
        "exp": 1_800_000_300,
        "iat": 1_800_000_000,
        "iss": ISSUER,
        "aud": ["gateway", "account"],
        "typ": "Bearer",
        "azp": "mobile-app",
        "acr": "1",
        "realm_access": {"roles": ["default-roles-demo", "offline_access", "uma_authorization"]},
        "resource_access": {"account": {"roles": ["manage-account", "manage-account-links", "view-profile"]}},
        "scope": "email profile",
        "clientHost": "127.0.0.1",
        "preferred_username": "service-account-mobile-app",
        "clientAddress": "127.0.0.1",
        "client_id": "mobile-app",
    }
    assert claims_of(provider.token(MOBILE))["sub"] == subject
    assert claims_of(provider.token(SHOP))["sub"] != subject


def test_header_names_the_key_that_signs(provider: Provider) -> None:
    header = jwt.get_unverified_header(provider.token(MOBILE))
    assert header == {"typ": "JWT", "alg": "RS256", "kid": provider.keys.active("RS256").kid}


def test_each_token_has_an_id_of_its_own(provider: Provider) -> None:
    assert claims_of(provider.token(MOBILE))["jti"] != claims_of(provider.token(MOBILE))["jti"]


def test_a_client_without_audience_mapper_is_only_for_the_account_console(provider: Provider) -> None:
    assert claims_of(provider.token(NO_AUDIENCE))["aud"] == "account"


def test_roles_of_other_clients_add_audiences_but_own_ones_do_not(keys: KeyRing) -> None:
    client = Client(id="app", audience=(), client_roles={"reports": ("reader",), "app": ("owner",)})
    claims = claims_of(Provider(ISSUER, [client], keys=keys).token("app"))
    assert claims["aud"] == ["account", "reports"]
    assert claims["resource_access"]["reports"] == {"roles": ["reader"]}
    assert claims["resource_access"]["app"] == {"roles": ["owner"]}


def test_realm_roles_are_added_to_the_default_ones(provider: Provider) -> None:
    assert "customer" in claims_of(provider.token(SHOP))["realm_access"]["roles"]
    assert "customer" not in claims_of(provider.token(MOBILE))["realm_access"]["roles"]


def test_an_expired_token_can_be_had(provider: Provider) -> None:
    claims = claims_of(provider.token(MOBILE, lifespan=-1))
    assert claims["exp"] == claims["iat"] - 1


def test_claims_can_be_replaced_added_and_removed(provider: Provider) -> None:
    claims = claims_of(provider.token(MOBILE, typ="ID", nonce="n", azp=None))
    assert (claims["typ"], claims["nonce"]) == ("ID", "n")
    assert "azp" not in claims


def test_a_client_may_sign_with_es256(keys: KeyRing) -> None:
    provider = Provider(ISSUER, [Client(id="app", algorithm="ES256")], keys=keys)
    token = provider.token("app")
    key = jwt.PyJWK(dict(keys.active("ES256").jwk))
    assert jwt.decode(token, key, ["ES256"], audience="gateway")["azp"] == "app"


def test_any_claims_and_header_can_be_signed(provider: Provider) -> None:
    token = provider.sign({"exp": "soon"}, "ES256", typ="at+jwt", x5u="https://evil.example/")
    assert claims_of(token) == {"exp": "soon"}
    header = jwt.get_unverified_header(token)
    assert (header["alg"], header["typ"], header["x5u"]) == ("ES256", "at+jwt", "https://evil.example/")


def test_secrets_are_random_and_not_shown() -> None:
    ours, theirs = demo_clients()[0], demo_clients()[0]
    assert ours.secret != theirs.secret
    assert ours.secret not in repr(ours)
