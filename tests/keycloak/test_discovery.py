"""What Keycloak publishes about a realm, as far as the gateway relies on it."""

from __future__ import annotations

import base64

import pytest

from .realms import Admin, Json, Realm, client
from .server import Server

pytestmark = [pytest.mark.keycloak, pytest.mark.timeout(120, func_only=True)]

ALGORITHMS = {
    "ES256": {"kty": "EC", "crv": "P-256"},
    "PS256": {"kty": "RSA"},
    "EdDSA": {"kty": "OKP", "crv": "Ed25519"},
}


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


@pytest.fixture(scope="module")
def fresh(admin: Admin) -> Realm:
    """A realm that has issued no token yet."""
    return admin.create_realm("fresh", *map(client_signing, ALGORITHMS))


def client_signing(algorithm: str) -> Json:
    return client(algorithm, access__token__signed__response__alg=algorithm)


def test_the_key_set_holds_a_key_for_encryption_beside_the_one_that_signs(fresh: Realm) -> None:
    """Both RSA: a verifier that does not look at `use` and `alg` would take either."""
    keys = fresh.jwks()["keys"]
    kinds = {(key["kty"], key["use"], key["alg"]) for key in keys}
    assert kinds >= {("RSA", "enc", "RSA-OAEP"), ("RSA", "sig", "RS256")}
    assert {modulus_bits(key) for key in keys if key["kty"] == "RSA"} == {2048}


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_an_algorithm_gets_its_key_with_its_first_token(fresh: Realm, algorithm: str) -> None:
    """So an unknown `kid` is an everyday thing: the set that was fetched before is then too old."""
    before = fresh.jwks()["keys"]
    token = fresh.token(algorithm)
    [new] = [key for key in fresh.jwks()["keys"] if key not in before]
    expected = ALGORITHMS[algorithm] | {"kid": token.header["kid"], "alg": algorithm, "use": "sig"}
    assert new.items() >= expected.items()


def modulus_bits(key: dict[str, str]) -> int:
    return len(base64.urlsafe_b64decode(key["n"] + "==")) * 8
