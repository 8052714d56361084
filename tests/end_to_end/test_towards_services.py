"""What services are told of who asks, end to end: nothing, a token of the gateway's own, or an exchanged one."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import jwt
import pytest
import pytest_asyncio
from rigs.gateway import Gateway
from rigs.stage import Stage
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from gateway.devkit.provider import Client, Provider
from gateway.devkit.provider_app import provider_app
from gateway.devkit.servers import listener, port_of, serving
from gateway.identity.api_keys import create

pytestmark = pytest.mark.asyncio(loop_scope="session")

KEY = create()
EXCHANGER = Client(id="gateway-exchange", audience=("orders-api",), exchanges=True)
MOBILE = Client(id="mobile-app", audience=("gateway", "gateway-exchange"))
ISSUER = "https://gateway.example.com"
GATEWAY = f"gateway: {{identity_tokens: {{issuer: '{ISSUER}', path: /.keys}}}}"
PLANS = f"""
services:
  bare:
    path: /bare
    upstream: {{targets: ["${{ECHO}}"], identity: none}}
    accept: [{{jwt: keycloak}}, {{api_key: {{query: key}}}}]
    rules: [ANY /bare: hits]
  told:
    path: /told
    upstream: {{targets: ["${{ECHO}}"], identity: token}}
    accept: [{{jwt: keycloak}}, {{api_key: {{header: X-Api-Key}}}}]
    rules: [ANY /told: hits]
  exchanged:
    path: /exchanged
    upstream: {{targets: ["${{ECHO}}"], identity: {{exchange: orders-api}}}}
    accept: [{{jwt: keycloak}}]
    rules: [ANY /exchanged: hits]
  refused:
    path: /refused
    upstream: {{targets: ["${{ECHO}}"], identity: {{exchange: bills-api}}}}
    accept: [{{jwt: keycloak}}]
    rules: [ANY /refused: hits]
plans: {{gold: {{services: [bare, told, exchanged, refused]}}}}
accounts: {{acme: {{}}}}
applications:
  mobile: {{plans: [gold], account: acme, client_ids: [mobile-app], api_keys: ["{KEY.digest}"]}}
"""


ASKED = {
    "keys": 'call="keys",provider="keycloak",result="ok"',
    "exchanged": 'call="exchange",provider="keycloak",result="ok"',
    "refused": 'call="exchange",provider="keycloak",result="refused"',
}


async def echo(request: Request) -> JSONResponse:
    return JSONResponse({"headers": dict(request.headers), "query": request.url.query})


class Exchanging(Gateway):
    """Its provider exchanges tokens."""

    def configure(self, *files: str) -> None:
        super().configure(*files)
        first = self.plans / "0.yaml"
        client = f"exchange: {{client_id: {EXCHANGER.id}, client_secret: '{EXCHANGER.secret}'}}"
        text = first.read_text().replace("audience: [gateway]", f"audience: [gateway], {client}")
        first.write_text(text.replace("gateway:\n", f"gateway:\n  {GATEWAY[10:-1]}\n", 1))


@asynccontextmanager
async def exchanging(stage: Stage, folder: Path) -> AsyncIterator[tuple[Gateway, Provider]]:
    sock = listener()
    provider = Provider(f"http://127.0.0.1:{port_of(sock)}/realms/demo", (EXCHANGER, MOBILE))
    app = Starlette(routes=[Route("/{rest:path}", echo, methods=["GET", "POST"])])
    async with serving(provider_app(provider), sock), serving(app, listener()) as service:
        environment = {"ISSUER": provider.issuer, "ECHO": service, "STORE": "memory", "STORE_TIMEOUT": "5s"}
        gateway = Exchanging(folder, (PLANS,), environment)
        try:
            yield await gateway.start(), provider
        finally:
            await gateway.close()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def both(stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Gateway, Provider]]:
    async with exchanging(stage, tmp_path_factory.mktemp("towards")) as both:
        yield both


async def test_a_service_without_identity_sees_no_credential(both: tuple[Gateway, Provider]) -> None:
    gateway, provider = both
    told = (await gateway.get("/bare", token=provider.token("mobile-app"))).json()
    assert "authorization" not in told["headers"]
    assert told["headers"]["x-application-id"] == "mobile"
    assert (await gateway.get(f"/bare?a=1&key={KEY.key}")).json()["query"] == "a=1"


async def test_a_service_verifies_the_gateways_own_token_by_its_published_keys(
    both: tuple[Gateway, Provider],
) -> None:
    gateway, provider = both
    told = (await gateway.get("/told", token=provider.token("mobile-app", sub="alice"))).json()
    token = told["headers"]["authorization"].removeprefix("Bearer ")
    async with httpx2.AsyncClient(trust_env=False) as http:
        published = (await http.get(f"{gateway.url}/.keys")).json()
        assert published == (await http.get(f"http://{gateway.admin}/jwks")).json()
    claims: dict[str, Any] = jwt.decode(token, key_of(published, token), ["ES256"], audience="told", issuer=ISSUER)
    assert claims["exp"] - time.time() <= 60
    named = {name: claims[name] for name in ("sub", "azp", "application", "plan", "account")}
    assert named == {
        "sub": "alice", "azp": "mobile-app", "application": "mobile", "plan": "gold", "account": "acme",
    }  # fmt: skip
    by_key = (await gateway.get("/told", key=KEY.key)).json()["headers"]
    assert "x-api-key" not in by_key
    assert jwt.decode(by_key["authorization"][7:], options={"verify_signature": False})["sub"] == "application:mobile"


def key_of(published: dict[str, Any], token: str) -> jwt.PyJWK:
    kid = jwt.get_unverified_header(token)["kid"]
    return next(jwt.PyJWK(jwk) for jwk in published["keys"] if jwk["kid"] == kid)


async def test_a_service_gets_an_exchanged_token(both: tuple[Gateway, Provider]) -> None:
    gateway, provider = both
    token = provider.token("mobile-app", sub="alice")
    told = [(await gateway.get("/exchanged", token=token)).json()["headers"]["authorization"] for _ in range(2)]
    assert told[0] == told[1]
    claims = jwt.decode(told[0].removeprefix("Bearer "), options={"verify_signature": False})
    assert (claims["aud"], claims["sub"], claims["azp"]) == ("orders-api", "alice", EXCHANGER.id)
    gateway.secrets.add(told[0].removeprefix("Bearer "))


async def test_where_the_provider_refuses_the_service_is_not_asked(both: tuple[Gateway, Provider]) -> None:
    gateway, provider = both
    answer = await gateway.get("/refused", token=provider.token("mobile-app"))
    assert (answer.status_code, answer.json()["code"]) == (502, "exchange_refused")
    line = await gateway.said("token exchange: refused: invalid_request Requested audience not available: bills-api")
    assert line["level"] == "warning"


async def test_what_the_provider_was_asked_is_counted(both: tuple[Gateway, Provider]) -> None:
    gateway, provider = both
    token, before = provider.token("mobile-app"), await asked(gateway)
    for path in ("/exchanged", "/exchanged", "/refused"):
        await gateway.get(path, token=token)
    after = await asked(gateway)
    assert after["keys"] == 1
    assert [after[name] - before[name] for name in ("exchanged", "refused")] == [1, 1]  # one was remembered


async def asked(gateway: Gateway) -> dict[str, float]:
    async with httpx2.AsyncClient(trust_env=False) as http:
        lines = (await http.get(f"http://{gateway.admin}/metrics")).text.splitlines()
    told = dict(line.rsplit(" ", 1) for line in lines if line.startswith("gateway_provider_calls_total{"))
    return {name: float(told.get(f"gateway_provider_calls_total{{{labels}}}", 0)) for name, labels in ASKED.items()}
