"""What Keycloak's tokens look like, kind by kind: the facts that the gateway's checks stand on."""

from __future__ import annotations

import pytest

from .demo import dpop_token, sign_in
from .realms import Realm, Token

pytestmark = [pytest.mark.keycloak, pytest.mark.timeout(120, func_only=True)]


def audiences(token: Token) -> list[str]:
    """`aud` is a string when there is one, else a list."""
    named = token.claims.get("aud", [])
    return [named] if isinstance(named, str) else named


def test_a_clients_own_token(demo: Realm) -> None:
    header, claims = demo.token("mobile-app")[1:]
    assert header.items() >= {"alg": "RS256", "typ": "JWT"}.items()
    assert header.keys() == {"alg", "typ", "kid"}
    assert claims.items() >= {"iss": demo.issuer, "azp": "mobile-app", "typ": "Bearer"}.items()
    assert claims["exp"] - claims["iat"] == 300
    assert claims.keys() >= {"sub", "jti", "aud", "scope", "realm_access"}
    assert "sid" not in claims, "a service account has no session"


def test_the_audience_is_a_list_or_a_single_string(demo: Realm) -> None:
    assert set(demo.token("mobile-app").claims["aud"]) == {"gateway", "account"}
    assert demo.token("shop-app").claims["aud"] == "gateway"


def test_without_the_mapper_the_gateway_is_no_audience(demo: Realm) -> None:
    assert audiences(demo.token("no-audience")) == ["account"]


def test_a_realm_role_of_the_service_account(demo: Realm) -> None:
    assert demo.token("shop-app").claims["realm_access"] == {"roles": ["customer"]}
    assert "customer" not in demo.token("mobile-app").claims["realm_access"]["roles"]


def test_a_clients_roles_are_under_its_name(demo: Realm) -> None:
    assert "view-profile" in demo.token("mobile-app").claims["resource_access"]["account"]["roles"]


@pytest.mark.parametrize(("client", "algorithm"), [("es256", "ES256"), ("ps256", "PS256"), ("eddsa", "EdDSA")])
def test_a_client_chooses_how_its_tokens_are_signed(demo: Realm, client: str, algorithm: str) -> None:
    assert demo.token(client).header["alg"] == algorithm


def test_a_header_of_rfc_9068(demo: Realm) -> None:
    header, claims = demo.token("rfc9068")[1:]
    assert header["typ"] == "at+jwt"
    assert claims["typ"] == "Bearer"


def test_a_users_tokens_tell_their_kind_in_the_typ_claim_alone(demo: Realm) -> None:
    """ID and access token have one key and one header; only `typ` in the claims keeps them apart."""
    tokens = sign_in(demo)
    kinds = {kind: token.claims["typ"] for kind, token in tokens.items()}
    assert kinds == {"access_token": "Bearer", "id_token": "ID", "refresh_token": "Refresh"}
    assert tokens["id_token"].header == tokens["access_token"].header
    assert audiences(tokens["id_token"]) == ["mobile-app"]


def test_a_users_tokens_share_a_session(demo: Realm) -> None:
    tokens = sign_in(demo)
    assert len({(token.claims["sub"], token.claims["sid"]) for token in tokens.values()}) == 1
    assert tokens["access_token"].claims["realm_access"] == {"roles": ["customer"]}


def test_a_refresh_token_is_signed_with_a_secret_of_keycloaks_own(demo: Realm) -> None:
    header, claims = sign_in(demo)["refresh_token"][1:]
    assert header["alg"] == "HS512"
    assert header["kid"] not in {key["kid"] for key in demo.jwks()["keys"]}
    assert claims["aud"] == demo.issuer


def test_a_lightweight_token_says_nothing_of_audience_and_roles(demo: Realm) -> None:
    """They are had by introspection, which Keycloak grants to clients that are an audience of the token."""
    token = demo.token("lightweight")
    assert token.claims.keys() == {"exp", "iat", "jti", "iss", "sub", "typ", "azp", "scope"}
    told = demo.introspect("gateway", token)
    assert told["active"]
    assert "gateway" in told["aud"]
    assert told["realm_access"]["roles"]
    assert not demo.introspect("no-audience", token)["active"]


def test_a_token_bound_to_a_key(demo: Realm) -> None:
    """Sent with the scheme Bearer it must not be taken (RFC 9449 7.2)."""
    token = dpop_token(demo)
    assert token.claims["typ"] == "DPoP"
    assert token.claims["cnf"].keys() >= {"jkt"}


def test_a_lifetime_below_zero_gives_a_token_that_has_expired(demo: Realm) -> None:
    """Genuine and too old, so that no test of expiry needs to wait."""
    claims = demo.token("expired").claims
    assert claims["iat"] - claims["exp"] == 120
