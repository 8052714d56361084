"""Keycloak's other tokens at a running gateway: lightweight ones, bound ones, and those from before a moment."""

from __future__ import annotations

import asyncio
import json
import time
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import jwt
import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric import ec

from .demo import CLIENTS, dpop_token
from .realms import Admin, Realm, Token
from .stage import Gateway, Service, code, gateway_before

pytestmark = [
    pytest.mark.keycloak,
    pytest.mark.timeout(120, func_only=True),
    pytest.mark.asyncio(loop_scope="module"),
]
SOON = 9.8  # seconds: proofs from before the store's memory are refused, and it has just begun


@pytest.fixture(scope="module")
def own(admin: Admin) -> Realm:
    """A realm that these tests may change."""
    return admin.create_realm("tokens", *CLIENTS, roles=["customer"])


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(orders: Service, own: Realm, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    """One that asks Keycloak about lightweight tokens."""
    asks = f"{{client_id: gateway, client_secret: '{own.secret}', max_age: 1s}}"
    folder: Path = tmp_path_factory.mktemp("gateway")
    async with gateway_before(orders, own, folder, introspection=asks) as running:
        yield running
        assert own.secret not in (folder / "gateway.log").read_text()


def proof(key: ec.EllipticCurvePrivateKey, token: Token, url: str, **changed: Any) -> str:
    public = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(key.public_key()))
    ath = urlsafe_b64encode(sha256(token.text.encode()).digest()).rstrip(b"=").decode()
    claims = {"jti": "one", "htm": "GET", "htu": url, "iat": time.time() + SOON, "ath": ath, **changed}
    return jwt.encode(claims, key, "ES256", headers={"typ": "dpop+jwt", "jwk": public})


async def first_proof(gateway: Gateway, key: ec.EllipticCurvePrivateKey, token: Token, url: str) -> str:
    """The first one that is good: made when the store's memory had begun."""
    for number in range(100):
        made = proof(key, token, url, jti=f"first-{number}")
        answer = await gateway.get(token, scheme="DPoP", DPoP=made)
        if answer.status_code == 200:
            return made
        await asyncio.sleep(0.1)
    raise AssertionError(answer.text)


async def test_a_lightweight_token_is_whole_once_keycloak_was_asked(gateway: Gateway, own: Realm) -> None:
    token = own.token("lightweight")
    assert "aud" not in token.claims
    answer = await gateway.get(token)
    assert answer.status_code == 200
    assert answer.json()["caller"] == {"application": "mobile", "plan": "partner", "subject": token.claims["sub"]}


async def test_a_token_that_is_bound_to_a_key_needs_a_proof(gateway: Gateway, own: Realm) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    token, url = dpop_token(own, key), f"{gateway.url}/orders"
    made = await first_proof(gateway, key, token, url)
    assert code(await gateway.get(token, scheme="DPoP", DPoP=made)) == (401, "dpop_proof_replayed")
    assert code(await gateway.get(token)) == (401, "dpop_required")
    stranger = ec.generate_private_key(ec.SECP256R1())
    other = proof(stranger, token, url, jti="two")
    assert code(await gateway.get(token, scheme="DPoP", DPoP=other)) == (401, "dpop_key_wrong")


async def test_what_keycloak_revokes_by_a_moment_is_not_active_any_more(
    gateway: Gateway, own: Realm, admin: Admin
) -> None:
    """Its `notBefore` is told by introspection alone."""
    token = own.token("lightweight")
    assert (await gateway.get(token)).status_code == 200
    admin.call("PUT", "realms/tokens", {"notBefore": int(time.time()) + 60})
    try:
        async with asyncio.timeout(20):
            while (answer := await gateway.get(token)).status_code == 200:
                await asyncio.sleep(0.2)
        assert code(answer) == (401, "token_inactive")
    finally:
        admin.call("PUT", "realms/tokens", {"notBefore": 0})
