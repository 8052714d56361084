"""Keycloak's tokens as a file, for the tests that have no Keycloak.

`python -m tests.keycloak.recording` writes it anew.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import httpx2
import jwt
from cryptography.hazmat.primitives.asymmetric import ec

from . import distribution, server
from .demo import create_demo, dpop_token, sign_in
from .realms import Admin, Json, Realm, Token

FILE = Path(__file__).parents[1] / "identity" / "fixtures" / "keycloak-26.json"
HOST = {"Host": "sso.example.com"}  # Keycloak names its issuer after it, so the file holds no random port
TOLD = ("lightweight", "mobile-app", "dpop", "expired", "refresh")
OF_CLIENTS = ("mobile-app", "shop-app", "no-audience", "expired", "lightweight", "rfc9068", "es256", "ps256", "eddsa")


def tokens_by_kind(realm: Realm, key: ec.EllipticCurvePrivateKey | None = None) -> dict[str, Token]:
    """Access tokens under their client's name; then Alice's, and one bound to a key."""
    mine = {client_id: realm.token(client_id) for client_id in OF_CLIENTS}
    hers = {kind.removesuffix("_token"): token for kind, token in sign_in(realm).items()}
    return mine | hers | {"dpop": dpop_token(realm, key)}


def record(realm: Realm) -> Json:
    key = ec.generate_private_key(ec.SECP256R1())
    found = tokens_by_kind(realm, key)
    tokens = {kind: token.text for kind, token in found.items()}
    discovery = realm.discovery()
    return {
        "keycloak": distribution.VERSION,
        "issuer": discovery["issuer"],
        "discovery": discovery,
        "tokens": tokens,
        "jwks": realm.jwks(),
        "told": told_by_kind(realm, found),
        "dpop_key": json.loads(jwt.algorithms.ECAlgorithm.to_jwk(key)),
    }


def told_by_kind(realm: Realm, tokens: dict[str, Token]) -> dict[str, Json]:
    """What introspection tells of some of them."""
    return {kind: realm.introspect("gateway", tokens[kind]) for kind in TOLD}


def main() -> None:
    home = distribution.install(distribution.default_cache())
    with (
        tempfile.TemporaryDirectory() as folder,
        server.running(home, Path(folder)) as keycloak,
        httpx2.Client(headers=HOST, timeout=60) as http,
    ):
        recording = record(create_demo(Admin(keycloak.url, keycloak.username, keycloak.password, http)))
    FILE.parent.mkdir(parents=True, exist_ok=True)
    FILE.write_text(json.dumps(recording, indent=1) + "\n")


if __name__ == "__main__":
    main()
