"""What a service is told of who asks: the client's credentials are taken out, and others may come in their place."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from rigs.proxy import Proxy, proxy_before, read_head

from gateway.errors import BadGateway, GatewayError
from gateway.model import Accept, AppId, KeyPlace
from gateway.proxy.onward import Onward

ACCEPT = (
    Accept(jwt="keycloak", api_key=KeyPlace("header", "X-Api-Key")),
    Accept(api_key=KeyPlace("query", "api_key")),
    Accept(app_id=AppId(KeyPlace("header", "App-Id"), KeyPlace("query", "app key"))),
)
ALL = (
    b"GET /?a=1&api_key=K&b=%%61pi_key&api%%5fkey=K&app+key=K&app%%20key=K&api_key HTTP/1.1\r\nHost: x\r\n"
    b"Authorization: Bearer T\r\nX-Api-Key: K\r\nX-Api.Key: K\r\nApp-Id: I\r\nDPoP: P\r\nAccept: */*\r\n%b\r\n"
)


class Voucher:
    """Says what the test put in `value`, at once or when `later` is told."""

    def __init__(self, value: bytes | GatewayError = b"Bearer mine") -> None:
        self.value = value
        self.waiting: list[Callable[[bytes | GatewayError], None]] | None = None

    def vouch(self, ask: Any, identity: Any, application: Any, plan: Any, done: Any) -> bytes | None:
        assert (identity.subject, application.name, plan.name) == ("s", "mobile", "gold")
        if self.waiting is not None:
            self.waiting.append(done)
            return None
        if isinstance(self.value, GatewayError):
            raise self.value
        return self.value


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers with the head that it got."""
    try:
        while True:
            head = await read_head(reader)
            length = next((int(line[16:]) for line in head.split(b"\r\n") if line.startswith(b"content-length: ")), 0)
            head += await reader.readexactly(length)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(head), head))
    except (asyncio.IncompleteReadError, ConnectionError, TimeoutError):
        writer.close()


@asynccontextmanager
async def told(header: str = "authorization", voucher: Voucher | None = None) -> AsyncIterator[Proxy]:
    async with proxy_before(echo) as proxy:
        (way,) = proxy.server.pools
        object.__setattr__(way, "accept", ACCEPT)
        onward = Onward(proxy.pool, way, header, voucher)
        proxy.server.backends = {way: onward}
        yield proxy


async def test_without_identity_no_credential_goes_on() -> None:
    async with told() as proxy:
        head = await proxy.talk(ALL % b"X-Api: stays\r\n")
    assert b"\r\n\r\nGET /?a=1&b=%61pi_key HTTP/1.1\r\n" in head
    lower = head.lower()
    assert [
        name for name in (b"authorization:", b"x-api-key:", b"x-api.key:", b"app-id:", b"dpop:") if name in lower
    ] == []
    assert b"accept: */*\r\n" in head
    assert b"x-api: stays\r\n" in head
    assert b"x-application-id: mobile\r\nx-plan: gold\r\nx-subject: s\r\n" in head


async def test_what_vouches_comes_in_their_place_and_pretended_ones_do_not() -> None:
    async with told("x-identity", Voucher()) as proxy:
        head = await proxy.talk(ALL % b"X-Identity: pretended\r\nX.Identity: pretended\r\n")
    assert b"x-identity: Bearer mine\r\n" in head
    assert b"pretended" not in head
    assert b"authorization" not in head


async def test_a_client_that_repeats_its_head_does_not_repeat_what_vouched() -> None:
    voucher = Voucher(b"Bearer 1")
    async with told("authorization", voucher) as proxy:
        reader, writer = await proxy.connect()
        for number in (b"1", b"2", b"3"):
            voucher.value = b"Bearer " + number
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer T\r\n\r\n")
            answer = await read_head(reader) + await read_head(reader)
            assert answer.count(b"authorization: ") == 1
            assert b"authorization: Bearer %b\r\n" % number in answer
        writer.close()


async def test_a_body_waits_for_who_vouches_later() -> None:
    voucher = Voucher()
    voucher.waiting = []
    async with told("authorization", voucher) as proxy:
        reader, writer = await proxy.connect()
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbo")
        while not voucher.waiting:
            await asyncio.sleep(0)
        writer.write(b"dy")
        await asyncio.sleep(0.01)
        voucher.waiting.pop()(b"Bearer late")
        answer = await read_head(reader) + await read_head(reader) + await reader.readexactly(4)
        assert b"authorization: Bearer late\r\n" in answer
        assert answer.endswith(b"\r\n\r\nbody")
        writer.close()


@pytest.mark.parametrize("later", [False, True])
async def test_nobody_is_served_whom_nobody_vouches_for(later: bool) -> None:
    error = BadGateway("not vouched for", code="exchange_refused")
    voucher = Voucher(error)
    voucher.waiting = [] if later else None
    async with told("authorization", voucher) as proxy:
        answering = asyncio.ensure_future(proxy.talk(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"))
        while later and not voucher.waiting:
            await asyncio.sleep(0)
        if voucher.waiting:
            voucher.waiting.pop()(error)
        assert (await answering).startswith(b"HTTP/1.1 502 ")
        assert proxy.connections == 0


async def test_a_client_that_has_gone_is_not_asked_for_any_more() -> None:
    voucher = Voucher()
    voucher.waiting = []
    async with told("authorization", voucher) as proxy:
        _, writer = await proxy.connect()
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        while not voucher.waiting:
            await asyncio.sleep(0)
        writer.transport.abort()
        (record,) = await proxy.recorded()
        assert record.reason == "client_abort"
        voucher.waiting.pop()(b"Bearer late")
        await asyncio.sleep(0.01)
        assert proxy.connections == 0
