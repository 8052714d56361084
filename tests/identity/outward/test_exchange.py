"""Tokens exchanged for those that services are meant by, at the development provider."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import jwt
import pytest
from starlette.responses import JSONResponse

from gateway.devkit.provider import Client, Provider
from gateway.devkit.provider_app import provider_app
from gateway.devkit.servers import listener, port_of, serving
from gateway.errors import BadGateway, GatewayError, Unavailable
from gateway.identity.channel import Channel
from gateway.identity.outward import exchange as module
from gateway.identity.outward.exchange import Exchanged, Exchanger
from gateway.model import Application, ClientCredentials, Identity, Oidc, Plan

GATEWAY = Client(id="gateway-exchange", audience=("orders-api", "stock-api"), exchanges=True)
MOBILE = Client(id="mobile-app", audience=("gateway", "gateway-exchange"))
NARROW = Client(id="narrow-app", audience=("gateway",))


class Ask:
    def __init__(self, token: str | None) -> None:
        self._fields = [] if token is None else [f"Bearer {token}".encode()]

    def header(self, name: bytes) -> list[bytes]:
        return self._fields if name == b"authorization" else []


class Realm:
    """A provider that counts what it is asked; `answer` stands for its own, `hold` keeps it waiting."""

    def __init__(self, provider: Provider) -> None:
        self.provider = provider
        self.asked = 0
        self.answer: JSONResponse | None = None
        self.hold = asyncio.Event()
        self.hold.set()
        self._app = provider_app(provider)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["path"].endswith("/token"):
            self.asked += 1
            await self.hold.wait()
            if self.answer is not None:
                await self.answer(scope, receive, send)
                return
        await self._app(scope, receive, send)


class Desk:
    """What a service's requests are vouched by."""

    def __init__(self, realm: Realm, exchanger: Exchanger, clock: Any) -> None:
        self.realm, self.exchanger, self.clock = realm, exchanger, clock
        self.calls: list[tuple[str, str, str]] = []

    def vouch(self, token: str | None, done: Callable[[Any], None], audience: str = "orders-api") -> bytes | None:
        exchanged = Exchanged({"keycloak": self.exchanger}.get, audience, None)
        proof = ("jwt:keycloak",)
        identity = Identity(subject="alice", proof=proof, expires=self.clock() + 300)
        return exchanged.vouch(Ask(token), identity, Application(name="m", plans=()), Plan(name="g", services=()), done)

    async def vouched(self, token: str | None, audience: str = "orders-api") -> bytes:
        heard: asyncio.Future[bytes | GatewayError] = asyncio.get_running_loop().create_future()
        answer: bytes | GatewayError | None = self.vouch(token, heard.set_result, audience)
        answer = await heard if answer is None else answer
        if isinstance(answer, GatewayError):
            raise answer
        return answer


@pytest.fixture
async def desk(clock: Any) -> AsyncIterator[Desk]:
    async with opened(clock) as desk:
        yield desk


@asynccontextmanager
async def opened(clock: Any, secret: str = GATEWAY.secret) -> AsyncIterator[Desk]:
    sock = listener()
    issuer = f"http://127.0.0.1:{port_of(sock)}/realms/demo"
    realm = Realm(Provider(issuer, (GATEWAY, MOBILE, NARROW), clock))
    channel = Channel(Oidc(name="keycloak", issuer=issuer, audience=("gateway",)))
    credentials = ClientCredentials(client_id=GATEWAY.id, client_secret=secret)
    exchanger = Exchanger(
        "keycloak",
        channel,
        credentials,
        clock=clock,
        log=logging.getLogger("gateway.identity"),
        on_call=lambda *call: desk.calls.append(call[:3]),
    )
    desk = Desk(realm, exchanger, clock)
    async with serving(realm, sock):
        try:
            yield desk
        finally:
            await exchanger.close()
            await channel.aclose()


async def test_a_service_gets_a_token_that_is_meant_for_it(desk: Desk) -> None:
    value = await desk.vouched(desk.realm.provider.token(MOBILE.id, sub="alice"))
    claims = jwt.decode(value.removeprefix(b"Bearer "), options={"verify_signature": False})
    assert (claims["aud"], claims["sub"], claims["azp"]) == ("orders-api", "alice", GATEWAY.id)


async def test_it_is_used_again_until_shortly_before_it_ends(desk: Desk) -> None:
    token = desk.realm.provider.token(MOBILE.id)
    first = await desk.vouched(token)
    assert desk.vouch(token, print) == first
    assert await desk.vouched(token, "stock-api") != first
    desk.clock.now += 291
    assert await desk.vouched(desk.realm.provider.token(MOBILE.id)) != first
    assert desk.realm.asked == 3
    assert await desk.vouched(token) != first  # it would end in nine seconds
    assert desk.realm.asked == 4


async def test_many_requests_with_one_token_cause_one_exchange(desk: Desk) -> None:
    token = desk.realm.provider.token(MOBILE.id)
    answers = await asyncio.gather(*(desk.vouched(token) for _ in range(50)))
    assert len(set(answers)) == desk.realm.asked == 1


@pytest.mark.parametrize(
    ("client", "audience", "said"),
    [
        (NARROW, "orders-api", "access_denied Client is not within the token audience"),
        (MOBILE, "bills-api", "invalid_request Requested audience not available: bills-api"),
    ],
)
async def test_where_it_is_not_set_up_nobody_is_vouched_for_and_the_log_says_why(
    desk: Desk, caplog: pytest.LogCaptureFixture, client: Client, audience: str, said: str
) -> None:
    token = desk.realm.provider.token(client.id)
    for _ in range(3):
        with pytest.raises(BadGateway) as refused:
            await desk.vouched(token, audience)
        assert (refused.value.status, refused.value.code) == (502, "exchange_refused")
    assert desk.realm.asked == 1
    desk.clock.now += 5
    with pytest.raises(BadGateway):
        await desk.vouched(token, audience)
    assert desk.realm.asked == 2
    assert f"token exchange: refused: {said}; may the gateway's client exchange tokens" in caplog.text
    assert len(caplog.records) == 1
    assert token not in caplog.text
    assert desk.calls == [("keycloak", "exchange", "refused")] * 2


async def test_a_wrong_secret_is_a_fault_of_the_gateway(clock: Any, caplog: pytest.LogCaptureFixture) -> None:
    async with opened(clock, secret="wrong") as desk:
        with pytest.raises(BadGateway):
            await desk.vouched(desk.realm.provider.token(MOBILE.id))
    assert "invalid_client" in caplog.text


@pytest.mark.parametrize(
    "answer",
    [
        JSONResponse({}, 500),
        JSONResponse({}, 429),
        JSONResponse({}, 302, {"location": "/elsewhere"}),
        JSONResponse({"access_token": "a b", "token_type": "Bearer", "expires_in": 60}),
        JSONResponse({"access_token": "a\r\nx: y", "token_type": "Bearer", "expires_in": 60}),
        JSONResponse({"access_token": "a" * 20_000, "token_type": "Bearer", "expires_in": 60}),
        JSONResponse({"access_token": "a", "token_type": "DPoP", "expires_in": 60}),
        JSONResponse({"access_token": "a", "token_type": "Bearer", "expires_in": "60"}),
        JSONResponse({"access_token": "a", "token_type": "Bearer", "expires_in": True}),
        JSONResponse({"token_type": "Bearer"}),
        JSONResponse([1]),
    ],
)
async def test_a_provider_that_is_away_or_talks_nonsense_is_503(desk: Desk, answer: JSONResponse) -> None:
    token, desk.realm.answer = desk.realm.provider.token(MOBILE.id), answer
    with pytest.raises(Unavailable) as refused:
        await desk.vouched(token)
    assert (refused.value.code, refused.value.retry_after) == ("exchange_unavailable", 5)
    desk.realm.answer = None
    assert (await desk.vouched(token)).startswith(b"Bearer ey")  # it is asked again at once
    assert [call[2] for call in desk.calls] == ["failed", "ok"]


async def test_a_token_without_an_end_is_used_once(desk: Desk) -> None:
    token = desk.realm.provider.token(MOBILE.id)
    desk.realm.answer = JSONResponse({"access_token": "a", "token_type": "bearer"})
    assert [await desk.vouched(token) for _ in range(2)] == [b"Bearer a", b"Bearer a"]
    assert desk.realm.asked == 2


async def test_so_many_wait_and_no_more(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WAITERS", 2)
    desk.realm.hold.clear()
    tokens = [desk.realm.provider.token(MOBILE.id) for _ in range(3)]
    waiting = [asyncio.ensure_future(desk.vouched(token)) for token in tokens[:2]]
    await asyncio.sleep(0)
    with pytest.raises(Unavailable, match="too many"):
        desk.vouch(tokens[2], print)
    desk.realm.hold.set()
    assert len(set(await asyncio.gather(*waiting))) == 2


async def test_who_waits_at_the_end_is_told(clock: Any) -> None:
    async with opened(clock) as desk:
        desk.realm.hold.clear()
        waiting = asyncio.ensure_future(desk.vouched(desk.realm.provider.token(MOBILE.id)))
        while not desk.realm.asked:
            await asyncio.sleep(0.01)
        await desk.exchanger.close()
        with pytest.raises(Unavailable):
            await waiting
        desk.realm.hold.set()


def test_without_a_token_nobody_is_vouched_for(clock: Any) -> None:
    desk = Desk(None, None, clock)  # type: ignore[arg-type]
    with pytest.raises(BadGateway):
        desk.vouch(None, print)
