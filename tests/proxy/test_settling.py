"""What a request is charged, by the status that its client got."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

import pytest
from rigs.proxy import OpenGate, Proxy, Script, answering, proxy_before, read_answer, read_head

from gateway.errors import GatewayError
from gateway.gate import Admission, Ask
from gateway.model import Charge, Charging, Limit, Period, Route, Service, Target, Timeouts
from gateway.quota.memory import MemoryLedger

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
LIMIT = Limit(plan="gold", period=Period.ETERNITY, value=1000)
FREE = Charging(except_status=("5xx", "404"))
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nDate: x\r\n\r\nok"
SORRY = b"HTTP/1.1 503 Sorry\r\nContent-Length: 2\r\nDate: x\r\n\r\nno"


class Counting(OpenGate):
    """Counts each request, of which the answer says whether it is charged."""

    def __init__(self, service: Service) -> None:
        super().__init__(service)
        self._route = Route(service, {"hits": 1}, "/", unsure=frozenset({"hits"}))
        self.ledger = MemoryLedger(lambda: 0.0, lambda alert: None)
        self._claim = self.ledger.claim("mobile", (Charge(LIMIT, 1, reserved=True),))

    def admit(self, ask: Ask, route: Route, done: Callable[[Admission | GatewayError], None]) -> Admission | None:
        outcome = self.ledger.consume(self._claim, lambda outcome: None)

        def counted(admission: Admission | GatewayError) -> None:
            assert isinstance(admission, Admission)
            done(admission.replace(outcome))

        admission = super().admit(ask, route, counted)
        return None if admission is None else admission.replace(outcome)

    async def charged(self) -> tuple[int, int]:
        """Units spent, and those of requests that have not ended."""
        (account,) = await self.ledger.read("mobile", [LIMIT])
        return account.units.spent, account.units.held


def counting(proxy: Proxy) -> Counting:
    (service,) = proxy.server.pools
    gate = Counting(service)
    proxy.server.swap(gate, {service: proxy.pool})
    return gate


async def closing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Hears the request out, and goes."""
    await reader.readuntil(b"\r\n\r\n")


async def hanging(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    await asyncio.sleep(60)


async def breaking(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Goes in the middle of its answer."""
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nhalf")
    await writer.drain()


@pytest.mark.parametrize(
    ("script", "charged"),
    [
        (answering(OK), 1),
        (answering(SORRY), 0),
        (answering(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"), 0),
        (answering(b"HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n"), 1),
        (answering(b"HTTP/1.1 500 Oh\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nbad\r\n0\r\n\r\n"), 0),
        (answering(b"HTTP/1.1 103 Early Hints\r\n\r\n" + SORRY), 0),
        (answering(b"nonsense"), 0),  # 502
        (closing, 0),  # 502
        (hanging, 0),  # 504
        (breaking, 1),
    ],
)
async def test_a_request_is_charged_by_the_status_of_its_answer(script: Script, charged: int) -> None:
    async with proxy_before(script, charge=FREE) as proxy:
        gate = counting(proxy)
        proxy.pool.timeouts = Timeouts(response=0.3)
        with suppress(asyncio.IncompleteReadError):
            await proxy.talk(GET)
        (record,) = await proxy.recorded()
        assert await gate.charged() == (charged, 0)
        assert record.charged == ({"hits": 1} if charged else {})


async def test_a_head_that_repeats_is_settled_each_time() -> None:
    async with proxy_before(answering(SORRY), charge=FREE) as proxy:
        gate = counting(proxy)
        reader, writer = await proxy.connect()
        for _ in range(5):
            writer.write(GET)
            assert (await read_answer(reader)).startswith(b"HTTP/1.1 503 ")
        writer.write(GET.replace(b"GET", b"HEAD"))
        await read_head(reader)
        writer.close()
        await proxy.recorded(6)
        assert await gate.charged() == (0, 0)


async def test_an_upstream_that_is_not_there() -> None:
    async with proxy_before(closing, charge=FREE, targets=(Target(False, "127.0.0.1", 1),)) as proxy:
        gate = counting(proxy)
        assert (await proxy.talk(GET)).startswith(b"HTTP/1.1 502 ")
        assert await gate.charged() == (0, 0)


@pytest.mark.parametrize(("heads", "charged"), [((), 1), ((200,), 1), ((503,), 0)])
async def test_who_leaves_early_is_charged_by_the_status_seen_so_far(heads: tuple[int, ...], charged: int) -> None:
    """The service may have done its work; else who leaves before the end would never pay."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for status in heads:
            writer.write(b"HTTP/1.1 %d X\r\nContent-Length: 20\r\n\r\nhalf" % status)
        await asyncio.sleep(60)

    async with proxy_before(script, charge=FREE) as proxy:
        gate = counting(proxy)
        reader, writer = await proxy.connect()
        writer.write(GET)
        if heads:
            await read_head(reader)
        else:
            while not proxy.connections:
                await asyncio.sleep(0.01)
        assert await gate.charged() == (0, 1)
        writer.transport.abort()
        await proxy.recorded()
        assert await gate.charged() == (charged, 0)


async def test_who_left_before_it_was_decided_is_charged() -> None:
    async with proxy_before(answering(OK), charge=FREE) as proxy:
        gate = counting(proxy)
        gate.later = []
        _, writer = await proxy.connect()
        writer.write(GET)
        while not gate.later:
            await asyncio.sleep(0.01)
        writer.transport.abort()
        await proxy.recorded()
        gate.later[0]()
        assert await gate.charged() == (1, 0)
