"""Another configuration under traffic: connections stay open, each request is served by the one that it met."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Iterator

import pytest
from rigs.proxy import OpenGate, Proxy, answering, echo, proxy_before, read_answer

from gateway.model import Service, Upstream
from gateway.proxy.client import ClientConnection
from gateway.proxy.exchange import Exchange
from gateway.proxy.pool import Pool
from gateway.proxy.upstream import UpstreamConnection

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
OLD = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nold"
NEW = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nnew"


def pools_at(upstream: Upstream) -> tuple[Service, dict[Service, Pool]]:
    service = Service(name="echo", upstream=upstream, accept=(), rules=())
    return service, {service: Pool(upstream, asyncio.get_running_loop())}


async def test_a_request_in_flight_ends_on_the_old_one_and_the_next_begins_on_the_new_one() -> None:
    asked, release = asyncio.Event(), asyncio.Event()

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        asked.set()
        await release.wait()
        writer.write(OLD)
        assert await reader.read() == b""  # its pool keeps no connection

    async with proxy_before(slow) as proxy, proxy_before(answering(NEW)) as other:
        reader, writer = await proxy.connect()
        writer.write(GET)
        await asked.wait()
        service, pools = pools_at(other.pool.upstream)
        proxy.server.swap(OpenGate(service), pools)
        release.set()
        assert (await read_answer(reader)).endswith(b"old")
        writer.write(GET)
        assert (await read_answer(reader)).endswith(b"new")
        writer.close()


async def test_a_request_that_was_not_decided_yet_goes_where_it_would_have_gone() -> None:
    async with proxy_before(answering(OLD)) as proxy, proxy_before(answering(NEW)) as other:
        proxy.gate.later = []
        reader, writer = await proxy.connect()
        writer.write(GET)
        while not proxy.gate.later:
            await asyncio.sleep(0.001)
        service, pools = pools_at(other.pool.upstream)
        proxy.server.swap(OpenGate(service), pools)
        proxy.gate.later.pop()()
        assert (await read_answer(reader)).endswith(b"old")
        writer.close()


async def test_an_unchanged_pool_keeps_its_connections() -> None:
    async with proxy_before(echo) as proxy:
        await proxy.talk(GET)
        service, _ = pools_at(proxy.pool.upstream)
        proxy.server.swap(OpenGate(service), {service: proxy.pool})
        await proxy.talk(GET)
        assert proxy.connections == 1


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_collector")
async def test_what_has_ended_needs_no_garbage_collector() -> None:
    """A worker's collector does not look at what lived at its start or at a reload, and rarely at the rest."""

    def left() -> list[object]:
        return [o for o in gc.get_objects() if isinstance(o, ClientConnection | UpstreamConnection | Exchange)]

    async with proxy_before(echo) as proxy:
        for _ in range(3):
            await proxy.talk(GET)
        await proxy.talk(b"no HTTP\r\n\r\n", until_close=True)
        await upload_slowly(proxy)
        proxy.pool.close()
        while proxy.pool.counts()[0] or proxy.server.connections:
            await asyncio.sleep(0.001)
        proxy.records.clear()
        await asyncio.sleep(0.01)
        assert left() == []


async def upload_slowly(proxy: Proxy) -> None:
    """A sweep finds the body on its way, and takes its time."""
    reader, writer = await proxy.connect()
    writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n1")
    while not any(connection.busy for connection in proxy.server.connections):
        await asyncio.sleep(0.001)
    for connection in list(proxy.server.connections):
        connection.sweep(time.monotonic())
    writer.write(b"2")
    await read_answer(reader)
    writer.close()
