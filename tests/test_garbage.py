"""What is refused leaves nothing behind that only the garbage collector would find."""

from __future__ import annotations

import asyncio
import gc
import secrets
from collections.abc import AsyncIterator, Callable

import jwt
import pytest
import pytest_asyncio
from rigs.proxy import read_answer
from rigs.sign_on import Stage, stage
from rigs.waiting import until

from gateway.errors import GatewayError
from gateway.identity.refusals import Invalid
from gateway.proxy.exchange import Exchange

pytestmark = pytest.mark.asyncio(loop_scope="module")

TIMES = 10
PLANS = """
version: 1
gateway: {store: memory, limits: {invalid_credentials: off}}
identity:
  keycloak:
    oidc:
      issuer: "${ISSUER}"
      audience: gateway
      sign_in: {client_id: gateway-web}
      introspection: {client_id: gateway-web, client_secret: "${SECRET}", tokens: opaque}
services:
  web:
    path: /web
    upstream: {targets: ["http://127.0.0.1:${UPSTREAM}"]}
    accept: [{jwt: keycloak}]
    metrics: {dear: {}}
    rules: [GET /: hits, POST /: hits, GET /web/dear: dear, DELETE /: hits]
    max_body: 10B
  keys:
    path: /keys
    upstream: {targets: ["http://127.0.0.1:${UPSTREAM}"]}
    accept: [{api_key: {header: x-api-key}}]
    rules: [GET /: hits]
  people:
    path: /people
    upstream: {targets: ["http://127.0.0.1:${UPSTREAM}"]}
    accept: [{jwt: keycloak}, {sign_in: keycloak}]
    rules: [GET /: hits]
  away:
    path: /away
    upstream: {targets: ["http://127.0.0.1:9"]}
    accept: [{jwt: keycloak}]
    rules: [GET /: hits]
plans:
  gold:
    services: [web, away]
    allow: {web: [GET /, POST /, GET /web/dear]}
    limits: {web.dear: [1/year]}
applications:
  mobile: {plans: [gold], client_ids: [mobile-app]}
"""

Write = Callable[[Stage], str]  # a request's head


def get(path: str = "/web", *fields: str, method: str = "GET") -> str:
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: example.com", *fields, "", ""])


def bearing(token: str, path: str = "/web", *fields: str, method: str = "GET") -> str:
    return get(path, f"Authorization: Bearer {token}", *fields, method=method)


def good(served: Stage, path: str, *fields: str, method: str = "GET") -> str:
    return bearing(served.provider.token("mobile-app"), path, *fields, method=method)


def forged(token: str) -> str:
    head, _, signature = token.rpartition(".")
    return f"{head}.{signature[:40][::-1]}{signature[40:]}"


def of_unknown_key(served: Stage) -> str:
    claims = jwt.decode(served.provider.token("mobile-app"), options={"verify_signature": False})
    return served.provider.sign(claims, kid=secrets.token_hex(8))


REFUSED: dict[str, Write] = {  # by the answer's code
    "bad_request": lambda _: "GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
    "no_service": lambda _: get("/nowhere"),
    "no_rule": lambda served: good(served, "/web", method="PUT"),
    "credentials_missing": lambda _: get(),
    "credentials_ambiguous": lambda served: good(served, "/web", "Authorization: Bearer x"),
    "token_malformed": lambda _: bearing("eyJh.eyJh.eyJh"),
    "token_inactive": lambda _: bearing(secrets.token_urlsafe(30)),
    "token_expired": lambda served: bearing(served.provider.token("mobile-app", lifespan=-90)),
    "issuer_wrong": lambda served: bearing(served.provider.token("mobile-app", iss="http://elsewhere")),
    "signature_invalid": lambda served: bearing(forged(served.provider.token("mobile-app"))),
    "key_unknown": lambda served: bearing(of_unknown_key(served)),
    "api_key_invalid": lambda _: get("/keys", "X-Api-Key: unknown"),
    "session_ended": lambda _: get("/people", f"Cookie: plangate={secrets.token_urlsafe(32)}"),
    "no_application": lambda served: bearing(served.provider.token("gateway-web")),
    "not_in_plan": lambda served: good(served, "/web", method="DELETE"),
    "body_too_large": lambda served: good(served, "/web", "Content-Length: 11", method="POST") + 11 * "x",
    "over_limit": lambda served: good(served, "/web/dear"),
    "upstream_unreachable": lambda served: good(served, "/away"),
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    async with stage(tmp_path_factory.mktemp("plans"), PLANS) as gateway:
        yield gateway


@pytest.mark.parametrize("code", REFUSED)
async def test_what_is_refused_leaves_no_cycle(served: Stage, code: str) -> None:
    write = REFUSED[code]
    await refused(served, write(served))  # what is remembered has been learnt, and the limit reached
    gc.collect()
    gc.disable()
    try:
        before = left_behind()
        for _ in range(TIMES):
            answer = await refused(served, write(served))
        assert f'"code":"{code}"' in answer
        await until(lambda: left_behind() <= before, "what was refused to go", seconds=5)
    finally:
        gc.enable()


async def refused(served: Stage, request: str) -> str:
    """The answer, on a connection of its own."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(served.origin.rpartition(":")[2]))
    writer.write(request.encode())
    answer = (await read_answer(reader)).decode()
    writer.close()
    await writer.wait_closed()
    return answer


def left_behind() -> int:
    return sum(isinstance(one, (Exchange, GatewayError, Invalid)) for one in gc.get_objects())
