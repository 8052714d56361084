"""What Keycloak publishes about a realm, as far as the gateway relies on it."""

from __future__ import annotations

import base64

import pytest

from .demo import CLIENTS
from .realms import Admin, Realm
from .server import Server

pytestmark = [pytest.mark.keycloak, pytest.mark.timeout(60, func_only=True)]


def test_the_issuer_is_the_realms_address(demo: Realm, keycloak: Server) -> None:
    assert demo.discovery()["issuer"] == f"{keycloak.url}/realms/demo"


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("authorization_endpoint", "auth"),
        ("token_endpoint", "token"),
        ("userinfo_endpoint", "userinfo"),
        ("end_session_endpoint", "logout"),
        ("jwks_uri", "certs"),
        ("introspection_endpoint", "token/introspect"),
        ("revocation_endpoint", "revoke"),
        ("device_authorization_endpoint", "auth/device"),
    ],
)
def test_the_endpoints_lie_below_the_issuer(demo: Realm, name: str, path: str) -> None:
    assert demo.discovery()[name] == f"{demo.issuer}/protocol/openid-connect/{path}"


def test_the_algorithms_named_include_symmetric_ones(demo: Realm) -> None:
    """So whoever takes the list as it is takes HMAC too: a relying party must leave them out."""
    algorithms = set(demo.discovery()["id_token_signing_alg_values_supported"])
    assert {"RS256", "PS256", "ES256", "EdDSA"} < algorithms
    assert {"HS256", "HS384", "HS512"} < algorithms


def test_the_key_set_holds_a_key_for_encryption_beside_the_one_that_signs(admin: Admin) -> None:
    """Both RSA: a verifier that does not look at `use` and `alg` would take either."""
    keys = admin.create_realm("fresh").jwks()["keys"]
    assert sorted((key["kty"], key["use"], key["alg"]) for key in keys) == [
        ("RSA", "enc", "RSA-OAEP"),
        ("RSA", "sig", "RS256"),
    ]
    assert all(modulus_bits(key) == 2048 for key in keys)


@pytest.mark.parametrize(
    ("algorithm", "shape"),
    [
        ("ES256", {"kty": "EC", "crv": "P-256"}),
        ("PS256", {"kty": "RSA"}),
        ("EdDSA", {"kty": "OKP", "crv": "Ed25519"}),
    ],
)
def test_an_algorithm_gets_its_key_with_its_first_token(admin: Admin, algorithm: str, shape: dict[str, str]) -> None:
    """So an unknown `kid` is an everyday thing: the set that was fetched before is then too old."""
    client = next(entry for entry in CLIENTS if entry["client"]["clientId"] == algorithm.lower())
    realm = admin.create_realm(f"first-{algorithm}", client)
    before = realm.jwks()["keys"]
    token = realm.token(algorithm.lower())
    [new] = [key for key in realm.jwks()["keys"] if key not in before]
    assert new.items() >= shape.items() | {"kid": token.header["kid"], "alg": algorithm, "use": "sig"}.items()


def modulus_bits(key: dict[str, str]) -> int:
    return len(base64.urlsafe_b64decode(key["n"] + "==")) * 8
