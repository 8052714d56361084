"""Tokens of other kinds at the development provider: told of, taken back, bound. A gateway's passport takes them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from hashlib import sha256
from typing import Any

import httpx2
import jwt
import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric import ec
from identity.conftest import Ask
from identity.proofs import Holder, b64

from gateway.devkit.provider import Client, Provider
from gateway.devkit.provider_app import provider_app
from gateway.devkit.servers import listener, port_of, serving
from gateway.errors import GatewayError, Unauthorized
from gateway.identity.passport import Passport
from gateway.model import Accept, Identity, Introspection, Oidc, Service, Target, Upstream
from gateway.store.memory_records import MemoryRecords
from gateway.store.replays import Replays

pytestmark = pytest.mark.asyncio(loop_scope="module")

GATEWAY = Client(id="gateway", audience=())
OPAQUE, LIGHT = Client(id="opaque", kind="opaque"), Client(id="light", kind="lightweight", roles=("customer",))
BOUND, DEVICE = Client(id="bound", binds="dpop"), Client(id="device", binds="certificate")
CLIENTS = (GATEWAY, OPAQUE, LIGHT, BOUND, DEVICE, Client(id="other"))
ENDPOINTS = "/protocol/openid-connect"
SERVICE = Service(
    name="orders",
    upstream=Upstream(name="default", targets=(Target(False, "127.0.0.1", 9000),)),
    accept=(Accept(jwt="keycloak"),),
    rules=(),
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def provider() -> AsyncIterator[Provider]:
    sock = listener()
    provider = Provider(f"http://127.0.0.1:{port_of(sock)}/realms/demo", CLIENTS)
    async with serving(provider_app(provider), sock):
        yield provider


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def passport(provider: Provider) -> AsyncIterator[Passport]:
    """Of a gateway that asks the provider."""
    asks = Introspection(client_id="gateway", client_secret=GATEWAY.secret, tokens=("opaque", "lightweight"), max_age=1)
    oidc = Oidc(name="keycloak", issuer=provider.issuer, audience=("gateway",), introspection=asks)
    records = MemoryRecords(time.time)
    records._since = 0.0
    passport = Passport({"keycloak": oidc}, (), replays=Replays(records))
    await passport.start()
    yield passport
    await passport.close()


async def post(
    provider: Provider, path: str, client: Client, headers: dict[str, str] | None = None, **form: str
) -> Any:
    async with httpx2.AsyncClient(base_url=provider.issuer + ENDPOINTS, trust_env=False, verify=False) as http:
        return await http.post(path, auth=(client.id, client.secret), data=form, headers=headers or {})


async def granted(provider: Provider, client: Client, headers: dict[str, str] | None = None) -> dict[str, Any]:
    answer = await post(provider, "/token", client, headers, grant_type="client_credentials")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def who(passport: Passport, ask: Ask) -> Identity:
    heard: asyncio.Future[Identity | GatewayError] = asyncio.get_running_loop().create_future()
    found = passport.identify(SERVICE, ask, heard.set_result)
    answer = await heard if found is None else found
    if isinstance(answer, GatewayError):
        raise answer
    return answer


async def test_an_opaque_token_is_told_of(provider: Provider, passport: Passport) -> None:
    token = (await granted(provider, OPAQUE))["access_token"]
    assert token.count(".") == 0
    assert (await who(passport, Ask.bearing(token))).client_id == "opaque"
    told = (await post(provider, "/token/introspect", GATEWAY, token=token)).json()
    assert (told["active"], told["token_type"], told["client_id"]) == (True, "Bearer", "opaque")


async def test_a_lightweight_token_says_little_and_the_provider_the_rest(
    provider: Provider, passport: Passport
) -> None:
    token = (await granted(provider, LIGHT))["access_token"]
    itself = jwt.decode(token, options={"verify_signature": False})
    assert itself.keys() == {"exp", "iat", "jti", "iss", "sub", "typ", "azp", "scope"}
    assert "customer" in (await who(passport, Ask.bearing(token))).roles


async def test_who_is_no_audience_is_told_nothing(provider: Provider) -> None:
    token = provider.token("light")
    for client in (BOUND, Client(id="other", secret=provider.client("other").secret)):
        assert (await post(provider, "/token/introspect", client, token=token)).json() == {"active": False}
    for garbage in ("", "garbage", token[:-4] + "AAAA", provider.token("light", lifespan=-1)):
        assert (await post(provider, "/token/introspect", GATEWAY, token=garbage)).json() == {"active": False}
    assert (await post(provider, "/token/introspect", Client(id="gateway"), token=token)).status_code == 401


async def test_a_token_is_taken_back_by_its_client_alone(provider: Provider, passport: Passport) -> None:
    token = provider.token("opaque")
    await post(provider, "/revoke", GATEWAY, token=token)
    assert (await who(passport, Ask.bearing(token))).client_id == "opaque"
    assert (await post(provider, "/revoke", OPAQUE, token=token)).status_code == 200
    assert (await post(provider, "/revoke", OPAQUE, token="garbage")).status_code == 200
    assert (await post(provider, "/token/introspect", GATEWAY, token=token)).json() == {"active": False}


async def test_a_token_is_bound_to_the_key_of_a_proof(provider: Provider, passport: Passport) -> None:
    holder = Holder(ec.generate_private_key(ec.SECP256R1()))
    url = f"{provider.issuer}{ENDPOINTS}/token"
    made = {"htm": "POST", "htu": url, "iat": time.time(), "ath": None}
    answer = await granted(provider, BOUND, {"DPoP": holder.proof("", **made).decode()})
    token = answer["access_token"]
    assert answer["token_type"] == "DPoP"
    assert jwt.decode(token, options={"verify_signature": False})["cnf"] == {**holder.cnf, "kc-jkt-type": "DPoP"}
    proof = holder.proof(token, iat=time.time())
    asked = Ask([(b"authorization", f"DPoP {token}".encode()), (b"dpop", proof)])
    assert (await who(passport, asked)).client_id == "bound"
    with pytest.raises(Unauthorized):
        await who(passport, Ask.bearing(token))


@pytest.mark.parametrize(
    "changed", [{"htm": "GET"}, {"htu": "https://evil.example"}, {"iat": 0}, {"jti": None}, {"typ": "JWT"}]
)
async def test_no_token_is_bound_to_the_key_of_a_bad_proof(provider: Provider, changed: dict[str, Any]) -> None:
    holder = Holder(ec.generate_private_key(ec.SECP256R1()))
    head = {"typ": changed["typ"]} if "typ" in changed else {}
    made = {"htm": "POST", "htu": f"{provider.issuer}{ENDPOINTS}/token", "iat": time.time(), "ath": None, "jti": "x"}
    proof = holder.proof("", header=head, **{**made, **{name: changed[name] for name in changed if name != "typ"}})
    answer = await post(provider, "/token", BOUND, {"DPoP": proof.decode()}, grant_type="client_credentials")
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_dpop_proof")


async def test_a_client_that_must_bind_its_tokens_gets_no_others(provider: Provider) -> None:
    for client in (BOUND, DEVICE):
        answer = await post(provider, "/token", client, grant_type="client_credentials")
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


async def test_a_token_is_bound_to_the_certificate_that_a_proxy_tells_of(
    provider: Provider, passport: Passport
) -> None:
    token = (await granted(provider, DEVICE, {"Client-Cert": ":Y2VydGlmaWNhdGU=:"}))["access_token"]
    assert jwt.decode(token, options={"verify_signature": False})["cnf"] == {
        "x5t#S256": b64(sha256(b"certificate").digest())
    }
    asked = Ask.bearing(token)
    with pytest.raises(Unauthorized):
        await who(passport, asked)
    asked.certificate = b"certificate"
    assert (await who(passport, asked)).client_id == "device"
