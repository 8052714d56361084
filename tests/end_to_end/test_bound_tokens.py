"""Tokens that are bound to a key or a certificate, over real connections."""

from __future__ import annotations

import asyncio
import time
from base64 import urlsafe_b64encode
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from identity.proofs import Holder
from rigs.gateway import Gateway
from rigs.stage import ORDERS, Stage

pytestmark = pytest.mark.asyncio(loop_scope="session")

PLANS = """
plans:
  gold: {services: [orders], limits: {hits: [3/eternity]}}
applications:
  mobile: {plans: [gold], client_ids: [mobile-app]}
"""
SOON = 9.8  # seconds ahead: proofs from before the store's memory are refused, and it has just begun


async def asked(gateway: Gateway, scheme: str, token: str, proof: bytes | None = None) -> tuple[int, str | None]:
    gateway.secrets.add(token)
    headers = {"authorization": f"{scheme} {token}"} | ({} if proof is None else {"dpop": proof.decode()})
    answer = await gateway.get("/orders?page=1", **headers)
    return answer.status_code, answer.json().get("code")


async def first_proof(gateway: Gateway, holder: Holder, token: str, made: dict[str, Any]) -> bytes:
    """The first one that is good: made when the store's memory had begun."""
    for number in range(100):
        made["iat"] = time.time() + SOON
        proof = holder.proof(token, **made, jti=f"first-{number}")
        if await asked(gateway, "DPoP", token, proof) == (200, None):
            return proof
        await asyncio.sleep(0.1)
    raise AssertionError("no proof is good")


async def test_a_proof_is_good_once_over_all_workers(stage: Stage, tmp_path: Path) -> None:
    holder = Holder(ec.generate_private_key(ec.SECP256R1()))
    token = stage.token(typ="DPoP", cnf=holder.cnf)
    async with stage.gateway(tmp_path, ORDERS, PLANS, STORE="embedded", WORKERS="2") as gateway:
        made = {"htu": f"{gateway.url}/orders", "iat": time.time() + SOON}
        assert await asked(gateway, "Bearer", token) == (401, "dpop_required")
        assert await asked(gateway, "DPoP", token) == (401, "dpop_proof_missing")
        proof = await first_proof(gateway, holder, token, made)
        assert {await asked(gateway, "DPoP", token, proof) for _ in range(6)} == {(401, "dpop_proof_replayed")}
        for number in range(2):
            fresh = holder.proof(token, **made, jti=f"fresh-{number}")
            assert await asked(gateway, "DPoP", token, fresh) == (200, None)
        elsewhere = holder.proof(token, **{**made, "htu": f"{gateway.url}/other"}, jti="elsewhere")
        assert await asked(gateway, "DPoP", token, elsewhere) == (401, "dpop_proof_wrong")
        over = holder.proof(token, **made, jti="over")
        assert await asked(gateway, "DPoP", token, over) == (429, "over_limit")  # what was refused is not counted


async def test_a_certificate_that_a_trusted_proxy_tells_of(stage: Stage, tmp_path: Path) -> None:
    digest = urlsafe_b64encode(sha256(b"certificate").digest()).rstrip(b"=").decode()
    token = stage.token(cnf={"x5t#S256": digest})
    proxies = "gateway: {trusted_proxies: [127.0.0.0/8], client_certificate: client_cert}"
    async with stage.gateway(tmp_path, ORDERS, PLANS, proxies) as gateway:
        answers = []
        for told in ({}, {"client-cert": ":b3RoZXI=:"}, {"client-cert": ":Y2VydGlmaWNhdGU=:"}, {"client-cert": "x"}):
            answer = await gateway.get(token=token, **told)
            answers.append((answer.status_code, answer.json().get("code")))
    assert answers == [
        (401, "token_certificate_missing"),
        (401, "token_certificate_wrong"),
        (200, None),
        (400, "client_certificate_malformed"),
    ]
