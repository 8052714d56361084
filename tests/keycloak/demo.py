"""The realm `demo`: one client for each shape of token."""

from __future__ import annotations

import json
import secrets
import time

import jwt
from cryptography.hazmat.primitives.asymmetric import ec

from .realms import Admin, Realm, Token, client

ALICE = {
    "username": "alice",
    "email": "alice@example.com",
    "emailVerified": True,
    "firstName": "Alice",
    "lastName": "Example",
    "realmRoles": ["customer"],
}
MOBILE_APP = client("mobile-app", audience="gateway")
CLIENTS = (
    MOBILE_APP,
    client("gateway"),
    client("guest-app", audience="gateway"),
    client("shop-app", audience="gateway", roles=("customer",)),
    client("kiosk-app", audience="gateway", roles=("customer",)),
    client("no-audience"),
    client("expired", audience="gateway", access__token__lifespan="-120"),  # when issued: no test waits for it
    client("lightweight", audience="gateway", client__use__lightweight__access__token__enabled="true"),
    client("rfc9068", audience="gateway", access__token__header__type__rfc9068="true"),
    client("es256", audience="gateway", access__token__signed__response__alg="ES256"),
    client("ps256", audience="gateway", access__token__signed__response__alg="PS256"),
    client("eddsa", audience="gateway", access__token__signed__response__alg="EdDSA"),
    client("dpop", audience="gateway", dpop__bound__access__tokens="true"),
)


def create_demo(admin: Admin) -> Realm:
    """With all its keys: Keycloak makes those of an algorithm when the first token asks for it."""
    realm = admin.create_realm("demo", *CLIENTS, roles=["customer"], users=[ALICE])
    for client_id in ("es256", "ps256", "eddsa"):
        realm.token(client_id)
    return realm


def sign_in(realm: Realm) -> dict[str, Token]:
    """Alice's tokens at mobile-app: `access_token`, `refresh_token`, `id_token`."""
    return realm.grant("mobile-app", grant_type="password", username="alice", password=realm.secret, scope="openid")


def dpop_token(realm: Realm, key: ec.EllipticCurvePrivateKey | None = None) -> Token:
    """A token bound to a key (RFC 9449 5); to one that nobody keeps, if left out."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    public = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(key.public_key()))
    claims = {
        "jti": secrets.token_urlsafe(),
        "htm": "POST",
        "htu": realm.discovery()["token_endpoint"],
        "iat": int(time.time()),
    }
    proof = jwt.encode(claims, key, "ES256", headers={"typ": "dpop+jwt", "jwk": public})
    return realm.token("dpop", dpop=proof)
