"""Tokens of a real Keycloak, recorded (fixtures/README.md): which kinds prove an identity, and which do not."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode
from pathlib import Path
from typing import Any

import jwt
import pytest

from gateway.errors import Unauthorized
from gateway.model import Introspection
from gateway.store.memory_records import MemoryRecords
from gateway.store.replays import Replays

from .proofs import Holder

RECORDED = json.loads((Path(__file__).parent / "fixtures" / "keycloak-26.json").read_text())
ISSUER = RECORDED["issuer"]
TOKENS = RECORDED["tokens"]


def claims_of(token: str) -> dict[str, Any]:
    claims: dict[str, Any] = json.loads(urlsafe_b64decode(token.split(".")[1] + "=="))
    return claims


@pytest.fixture
def keycloak(issuer, clock, opened):
    """A passport at the recorded time whose provider answers what Keycloak did."""
    issuer.answers = {
        issuer.discovery: issuer.answer(RECORDED["discovery"]),
        issuer.certs: issuer.answer(RECORDED["jwks"]),
    }
    clock.now = claims_of(TOKENS["mobile-app"])["iat"] + 10.0
    return opened(issuer=ISSUER, internal_url=f"{issuer.origin}/realms/demo")


ASKS = Introspection(client_id="gateway", client_secret="s", tokens=("opaque", "lightweight", "all"))


def holder_of(jwk: dict[str, Any]) -> Holder:
    return Holder(jwt.algorithms.ECAlgorithm.from_jwk(json.dumps(jwk)))


@pytest.fixture
def asking(issuer, clock, keycloak, opened):
    """A passport that asks Keycloak, which tells what it told then."""
    issuer.told = {TOKENS[kind]: told for kind, told in RECORDED["told"].items()}
    introspection = RECORDED["discovery"]["introspection_endpoint"].removeprefix("http://sso.example.com")
    assert introspection == issuer.introspection
    records = MemoryRecords(clock)
    records._since = 0.0
    where = {"issuer": ISSUER, "internal_url": f"{issuer.origin}/realms/demo"}
    return opened(**where, introspection=ASKS, replays=Replays(records))


@pytest.mark.parametrize("kind", ["lightweight", "mobile-app"])
async def test_what_introspection_told_of_a_token_makes_it_whole(asking, service, ask, who, kind):
    async with asking as passport:
        identity = await who(passport, service({"jwt": "keycloak"}), ask.bearing(TOKENS[kind]))
    assert identity.client_id == kind
    assert {"offline_access", "account:view-profile"} < identity.roles
    assert identity.scopes == {"email", "profile"}


@pytest.mark.parametrize(("kind", "code"), [("expired", "token_expired"), ("refresh", "algorithm_refused")])
async def test_what_introspection_told_of_others_helps_them_not(asking, service, ask, who, kind, code):
    async with asking as passport:
        with pytest.raises(Unauthorized) as refused:
            await who(passport, service({"jwt": "keycloak"}), ask.bearing(TOKENS[kind]))
    assert refused.value.code == code


async def test_a_token_that_keycloak_bound_to_a_key_is_good_with_a_proof(asking, service, ask, who, clock):
    holder, token = holder_of(RECORDED["dpop_key"]), TOKENS["dpop"]
    async with asking as passport:
        proof = holder.proof(token, iat=clock.now)
        asked = ask([(b"authorization", b"DPoP " + token.encode()), (b"dpop", proof)])
        identity = await who(passport, service({"jwt": "keycloak"}), asked)
    assert (identity.client_id, identity.proof) == ("dpop", ("jwt:keycloak", "dpop"))


async def identified(keycloak, service, ask, who, kind: str):
    async with keycloak as passport:
        return await who(passport, service({"jwt": "keycloak"}), ask.bearing(TOKENS[kind]))


@pytest.mark.parametrize("kind", ["mobile-app", "shop-app", "rfc9068", "es256", "ps256", "eddsa"])
async def test_a_clients_access_token_proves_the_client(keycloak, service, ask, who, kind):
    identity = await identified(keycloak, service, ask, who, kind)
    assert identity.client_id == kind
    assert identity.subject == claims_of(TOKENS[kind])["sub"]
    assert identity.issuer == ISSUER


async def test_realm_roles_stand_as_they_are_and_clients_roles_behind_the_client(keycloak, service, ask, who):
    identity = await identified(keycloak, service, ask, who, "mobile-app")
    assert {"offline_access", "account:view-profile"} < identity.roles


async def test_a_role_given_to_a_service_account(keycloak, service, ask, who):
    identity = await identified(keycloak, service, ask, who, "shop-app")
    assert identity.roles == {"customer"}


async def test_a_users_access_token_proves_user_and_client(keycloak, service, ask, who):
    identity = await identified(keycloak, service, ask, who, "access")
    assert identity.subject == claims_of(TOKENS["id"])["sub"]
    assert identity.client_id == "mobile-app"
    assert identity.roles == {"customer"}


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("id", "token_type_wrong"),
        ("refresh", "algorithm_refused"),
        ("dpop", "dpop_required"),
        ("lightweight", "audience_missing"),
        ("no-audience", "audience_wrong"),
        ("expired", "token_expired"),
    ],
)
async def test_what_is_genuine_and_still_refused(keycloak, service, ask, who, kind, code):
    with pytest.raises(Unauthorized) as refused:
        await identified(keycloak, service, ask, who, kind)
    assert refused.value.code == code
