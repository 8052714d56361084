"""What an answer says of its cost is charged, however the answer comes."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest
from rigs.proxy import Proxy, answering, proxy_before, read_answer, read_head

from gateway.model import HITS, Charge, Measure, Rule, Service
from gateway.proxy.measuring import Measuring
from gateway.routing.router import compile_router

from .test_settling import FREE, LIMIT, Counting

GET = b"GET /chat HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n"
BY_JSON = Measure("tokens", "json", "usage.total_tokens", 40)
BY_HEADER = Measure("tokens", "header", "X-Cost", 40)
METRICS = {HITS: None, "tokens": "hits"}
TYPE = b"Content-Type: application/json\r\n"
BODY = b'{"choices": [{"text": "usage: {}"}], "usage": {"total_tokens": 12}}'
WHOLE = b"HTTP/1.1 200 OK\r\n%bContent-Length: %d\r\n\r\n%b"
JSON = WHOLE % (TYPE, len(BODY), BODY)
STREAM = b'data: {"usage": null}\n\ndata: {"usage": {"total_tokens": 33}}\n\ndata: [DONE]\n\n'


def rules(*measures: Measure) -> dict[str, object]:
    rule = Rule(method="ANY", pattern="/chat", usage={one.metric: one.reserve for one in measures}, measures=measures)
    return {"rules": (rule, Rule(method="ANY", pattern="/plain", usage={"hits": 1})), "metrics": METRICS}


class Metering(Counting):
    """Counts tokens in hits, of which each request reserves what its rules say."""

    def __init__(self, service: Service) -> None:
        super().__init__(service)
        self._router = compile_router([service])

    def route(self, ask: object) -> object:
        route = self._router.route(ask.method, ask.host, ask.path, ask.query)  # type: ignore[attr-defined]
        self._claim = self.ledger.claim("mobile", (Charge(LIMIT, route.usage["hits"], bool(route.measures)),))
        return route


def metering(proxy: Proxy) -> Metering:
    (service,) = proxy.server.pools
    gate = Metering(service)
    proxy.server.swap(gate, {service: proxy.pool}, onward={service: Measuring(proxy.pool)})
    return gate


def chunked(*parts: bytes) -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


CHUNKED = b"HTTP/1.1 200 OK\r\n%bTransfer-Encoding: chunked\r\n\r\n%b"
EVENTS = b"Content-Type: text/event-stream; charset=utf-8\r\n"


@pytest.mark.parametrize(
    ("measure", "answer", "charged", "reason"),
    [
        (BY_JSON, JSON, 12, "ok"),
        (BY_JSON, CHUNKED % (TYPE, chunked(BODY[:50], BODY[50:51], BODY[51:])), 12, "ok"),
        (BY_JSON, CHUNKED % (EVENTS, chunked(STREAM[:40], STREAM[40:])), 33, "ok"),
        (BY_JSON, b"HTTP/1.1 103 Hints\r\n\r\n" + JSON, 12, "ok"),
        (BY_JSON, WHOLE % (b"Content-Type: Application/Vnd.Api+JSON\r\n", len(BODY), BODY), 12, "ok"),
        (BY_JSON, WHOLE % (b"Content-Type: text/plain\r\n", len(BODY), BODY), 40, "unmeasured"),
        (BY_JSON, WHOLE % (TYPE + b"Content-Encoding: gzip\r\n", len(BODY), BODY), 40, "unmeasured"),
        (BY_JSON, WHOLE % (TYPE, 2, b"{}"), 40, "unmeasured"),
        (BY_JSON, WHOLE % (TYPE, len(BODY) - 1, BODY[:-1]), 40, "unmeasured"),
        (BY_JSON, b"HTTP/1.1 204 No Content\r\n\r\n", 40, "unmeasured"),
        (BY_JSON, JSON.replace(b"200 OK", b"503 No"), 0, "ok"),
        (BY_JSON, JSON.replace(b"200 OK", b"402 No"), 12, "ok"),
        (BY_HEADER, WHOLE % (b"x-cost:  7 \r\n", 2, b"ok"), 7, "ok"),
        (BY_HEADER, WHOLE % (b"X-Cost: 0\r\n", 2, b"ok"), 0, "ok"),
        (BY_HEADER, WHOLE % (b"X-Cost: 77\r\n", 2, b"ok"), 77, "ok"),
        (BY_HEADER, WHOLE % (b"X-Cost: 7\r\nX-Cost: 7\r\n", 2, b"ok"), 40, "unmeasured"),
        (BY_HEADER, WHOLE % (b"X-Cost: -7\r\n", 2, b"ok"), 40, "unmeasured"),
        (BY_HEADER, WHOLE % (b"X-Cost: 1.5\r\n", 2, b"ok"), 40, "unmeasured"),
        (BY_HEADER, b"HTTP/1.1 103 Hints\r\nX-Cost: 7\r\n\r\n" + WHOLE % (b"", 2, b"ok"), 40, "unmeasured"),
        (BY_HEADER, CHUNKED % (b"", b"2\r\nok\r\n0\r\nX-Cost: 7\r\n\r\n"), 40, "unmeasured"),
    ],
)
async def test_an_answer_says_what_is_charged(measure: Measure, answer: bytes, charged: int, reason: str) -> None:
    async with proxy_before(answering(answer), charge=FREE, **rules(measure)) as proxy:
        gate = metering(proxy)
        reader, writer = await proxy.connect()
        for _ in range(2):
            writer.write(GET)
            while (await read_head(reader)).startswith(b"HTTP/1.1 1"):
                pass
            with suppress(TimeoutError):
                await asyncio.wait_for(reader.read(65536), 0.05)
        writer.close()
        records = await proxy.recorded(2)
        assert await gate.charged() == (2 * charged, 0)
        assert [record.reason for record in records] == [reason] * 2
        told = {"tokens": charged, "hits": charged} if b"503" not in answer else {}
        assert [record.charged for record in records] == [told] * 2


async def test_the_head_of_an_answer_by_head() -> None:
    async with proxy_before(answering(WHOLE % (b"X-Cost: 7\r\n", 2, b"")), **rules(BY_HEADER)) as proxy:
        gate = metering(proxy)
        reader, writer = await proxy.connect()
        for _ in range(2):
            writer.write(GET.replace(b"GET", b"HEAD"))
            assert b"x-cost: 7\r\n" in await read_head(reader)
        writer.close()
        assert [record.reason for record in await proxy.recorded(2)] == ["ok", "ok"]
        assert await gate.charged() == (14, 0)


async def test_the_service_is_asked_for_what_can_be_read() -> None:
    seen: list[bytes] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            seen.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(JSON)

    async with proxy_before(script, **rules(BY_JSON)) as proxy:
        metering(proxy)
        reader, writer = await proxy.connect()
        for path in (b"/chat", b"/chat", b"/plain", b"/chat"):
            writer.write(GET.replace(b"/chat", path))
            await read_answer(reader)
        writer.close()
        coded = [head.lower().count(b"accept-encoding: identity\r\n") for head in seen]
        assert coded == [1, 1, 0, 1]
        assert [head.lower().count(b"accept-encoding:") for head in seen] == [1, 1, 1, 1]


async def test_requests_of_other_rules_are_charged_as_ever_on_the_same_connection() -> None:
    async with proxy_before(answering(JSON.replace(b"\r\n", b"\r\nDate: x\r\n", 1)), **rules(BY_JSON)) as proxy:
        gate = metering(proxy)
        reader, writer = await proxy.connect()
        for path in (b"/plain", b"/plain", b"/chat", b"/plain", b"/chat") * 4:
            writer.write(GET.replace(b"/chat", path))
            assert (await read_answer(reader)).endswith(BODY)
        writer.close()
        await proxy.recorded(20)
        assert await gate.charged() == (12 * 1 + 8 * 12, 0)
        assert proxy.connections == 1


@pytest.mark.parametrize(
    ("sent", "charged"),
    [(STREAM[:30], 40), (STREAM, 40), (STREAM.replace(b"33", b"99"), 99)],
)
async def test_of_an_answer_that_is_cut_short_at_least_the_reserve_counts(sent: bytes, charged: int) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(CHUNKED % (EVENTS, b"%x\r\n%b\r\n" % (len(sent), sent)))
        await asyncio.sleep(60)

    async with proxy_before(script, **rules(BY_JSON)) as proxy:
        gate = metering(proxy)
        reader, writer = await proxy.connect()
        writer.write(GET)
        await read_head(reader)
        await reader.readexactly(len(sent))
        writer.transport.abort()
        (record,) = await proxy.recorded()
        assert (record.reason, await gate.charged()) == ("client_abort", (charged, 0))


async def test_an_answer_that_ends_with_its_connection_is_whole() -> None:
    answer = b"HTTP/1.1 200 OK\r\n%b\r\n%b" % (EVENTS, STREAM)
    async with proxy_before(answering(answer, then_close=True), **rules(BY_JSON)) as proxy:
        gate = metering(proxy)
        await proxy.talk(GET)
        assert [record.reason for record in await proxy.recorded()] == ["ok"]
        assert await gate.charged() == (33, 0)


async def test_no_answer_charges_the_reserve() -> None:
    async with proxy_before(answering(b"nonsense"), **rules(BY_JSON)) as proxy:
        gate = metering(proxy)
        assert (await proxy.talk(GET)).startswith(b"HTTP/1.1 502 ")
        await proxy.recorded()
        assert await gate.charged() == (40, 0)
