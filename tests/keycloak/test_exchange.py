"""Token exchange at a real Keycloak (standard token exchange), as services are told of who asks."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Iterator
from hashlib import sha256

import pytest

from gateway.errors import BadGateway, GatewayError
from gateway.identity.channel import Channel
from gateway.identity.outward.exchange import Exchanger, Wanted
from gateway.model import ClientCredentials, Oidc

from .realms import Admin, Realm, Token, audience_mapper, client

pytestmark = [pytest.mark.keycloak, pytest.mark.timeout(120, func_only=True)]


@pytest.fixture(scope="module")
def realm(admin: Admin) -> Iterator[Realm]:
    mobile = client("mobile-app", audience="gateway")
    mobile["client"]["protocolMappers"].append(audience_mapper("gateway-exchange"))
    exchanger = client("gateway-exchange", standard__token__exchange__enabled="true")
    mapper = audience_mapper("orders-api")
    mapper["config"]["included.client.audience"] = mapper["config"].pop("included.custom.audience")
    exchanger["client"]["protocolMappers"].append(mapper)
    narrow = client("narrow-app", audience="gateway")
    yield admin.create_realm("exchange", mobile, exchanger, narrow, client("orders-api"), client("bills-api"))


@pytest.fixture
async def exchanger(realm: Realm) -> AsyncIterator[Exchanger]:
    channel = Channel(Oidc(name="keycloak", issuer=realm.issuer, audience=("gateway",)))
    client = ClientCredentials(client_id="gateway-exchange", client_secret=realm.secret)
    exchanger = Exchanger("keycloak", channel, client, clock=time.time, log=logging.getLogger("gateway.identity"))
    yield exchanger
    await exchanger.close()
    await channel.aclose()


async def exchanged(exchanger: Exchanger, token: Token, audience: str) -> Token:
    heard: asyncio.Future[bytes | GatewayError] = asyncio.get_running_loop().create_future()
    wanted = Wanted(sha256(token.text.encode()).digest(), audience, None)
    answer: bytes | GatewayError | None = exchanger.exchange(
        token.text.encode(), wanted, token.claims["exp"], heard.set_result
    )
    answer = await heard if answer is None else answer
    if isinstance(answer, GatewayError):
        raise answer
    return Token.read(answer.removeprefix(b"Bearer ").decode())


async def test_a_clients_token_is_exchanged_for_one_that_a_service_is_meant_by(
    exchanger: Exchanger, realm: Realm
) -> None:
    mine = realm.token("mobile-app")
    theirs = await exchanged(exchanger, mine, "orders-api")
    assert theirs.claims["aud"] == "orders-api"
    assert (theirs.claims["azp"], theirs.claims["sub"]) == ("gateway-exchange", mine.claims["sub"])
    assert (await exchanged(exchanger, mine, "orders-api")).text == theirs.text


@pytest.mark.parametrize(
    ("client_id", "audience"),
    [("narrow-app", "orders-api"), ("mobile-app", "bills-api"), ("mobile-app", "nobody")],
)
async def test_where_it_is_not_set_up_it_is_refused(
    exchanger: Exchanger, realm: Realm, caplog: pytest.LogCaptureFixture, client_id: str, audience: str
) -> None:
    token = realm.token(client_id)
    with pytest.raises(BadGateway) as refused:
        await exchanged(exchanger, token, audience)
    assert refused.value.code == "exchange_refused"
    assert "token exchange: refused: " in caplog.text
    assert token.text not in caplog.text
