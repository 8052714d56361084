"""Tokens in process: Keycloak's claims, replaced at will."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jwt
import pytest

from gateway.devkit.keys import KeyRing
from gateway.devkit.provider import MOBILE, NO_AUDIENCE, SHOP, Client, Provider, demo_clients

ISSUER = "http://127.0.0.1:8180/realms/demo"
RECORDED = Path(__file__).parents[1] / "identity" / "fixtures" / "keycloak-26.json"
NOW = 1_800_000_000.9


@pytest.fixture(scope="module")
def keys() -> KeyRing:
    return KeyRing()


@pytest.fixture
def provider(keys: KeyRing) -> Provider:
    return Provider(ISSUER, demo_clients(), clock=lambda: NOW, keys=keys)


def claims_of(token: str) -> dict[str, Any]:
    return jwt.decode(token, options={"verify_signature": False})


def recorded(client: str) -> str:
    """A token that a real Keycloak gave."""
    return str(json.loads(RECORDED.read_text())["tokens"][client])


@pytest.mark.parametrize("client", [MOBILE, NO_AUDIENCE])
def test_a_token_is_like_one_of_keycloak(provider: Provider, client: str) -> None:
    ours, theirs = claims_of(provider.token(client)), claims_of(recorded(client))
    assert ours.keys() == theirs.keys()  # whose order is that in which Keycloak was told of its mappers
    assert ours["exp"] - ours["iat"] == theirs["exp"] - theirs["iat"] == 300
    assert ours["jti"].partition(":")[0] == theirs["jti"].partition(":")[0]
    its_own = dict.fromkeys(("exp", "iat", "jti", "iss", "sub"))
    assert ours | its_own == theirs | its_own


def test_a_header_is_like_keycloaks(provider: Provider) -> None:
    ours, theirs = map(jwt.get_unverified_header, (provider.token(MOBILE), recorded(MOBILE)))
    assert ours | {"kid": None} == theirs | {"kid": None}


def test_times_are_whole_seconds_of_the_clock(provider: Provider) -> None:
    claims = claims_of(provider.token(MOBILE))
    assert (claims["iat"], claims["exp"]) == (1_800_000_000, 1_800_000_300)
    assert claims["iss"] == ISSUER


def test_each_client_has_a_subject_that_stays(provider: Provider) -> None:
    mobile, again, shop = (claims_of(provider.token(client))["sub"] for client in (MOBILE, MOBILE, SHOP))
    assert mobile == again != shop


def test_discovery_promises_nothing_that_keycloak_does_not(provider: Provider) -> None:
    theirs = json.loads(RECORDED.read_text())["discovery"]
    for name, value in provider.discovery().items():
        if isinstance(value, list):
            assert set(value) <= set(theirs[name]), name
        else:
            assert value.removeprefix(provider.issuer) == theirs[name].removeprefix(theirs["issuer"])


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
