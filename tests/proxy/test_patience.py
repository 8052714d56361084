"""Slow clients: who trickles is cut, who is only slow is served, and none holds more memory than is stated."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from rigs.proxy import Proxy, answering, echo, proxy_before, read_answer, read_head

from gateway.errors import Unauthorized
from gateway.model import ClientLimits, ClientTimeouts
from gateway.proxy.client import ClientConnection
from gateway.proxy.clocks import Patience

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10000\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
HELD = 512 * 1024  # bytes that one client can make the gateway hold, either way
GIB = 1024**3


# --- the clock


def test_patience_ends_where_nothing_moves() -> None:
    patience = Patience("body", 0.0, 0, 30.0)
    assert not patience.ends(29.9, 0, 100, 30.0)
    assert patience.ends(30.0, 0, 100, 30.0)


def test_bytes_give_time_and_never_more_than_there_was() -> None:
    patience = Patience("body", 0.0, 0, 30.0)
    assert not patience.ends(20.0, 1000, 100, 30.0)  # 10 s are left, 1,000 bytes give 10 more
    assert not patience.ends(39.0, 1000, 100, 30.0)
    assert patience.ends(40.0, 1000, 100, 30.0)
    generous = Patience("body", 0.0, 0, 30.0)
    assert not generous.ends(1.0, 1_000_000, 100, 30.0)
    assert generous.ends(31.0, 1_000_000, 100, 30.0)


def test_a_trickle_below_the_rate_runs_out_and_one_above_never() -> None:
    below, above = Patience("body", 0.0, 0, 30.0), Patience("body", 0.0, 0, 30.0)
    ended = next(second for second in range(1, 1000) if below.ends(float(second), 90 * second, 100, 30.0))
    assert ended == 300  # a tenth of a second is lost in each
    assert not any(above.ends(float(second), 101 * second, 100, 30.0) for second in range(1, 1000))


def test_without_a_rate_any_byte_is_a_sign_of_life() -> None:
    patience = Patience("body", 0.0, 0, 30.0)
    assert not any(patience.ends(29.0 * n, n, 0, 30.0) for n in range(1, 100))
    assert patience.ends(29.0 * 99 + 30, 99, 0, 30.0)


def test_time_that_is_not_the_clients_does_not_pass() -> None:
    patience = Patience("body", 0.0, 0, 30.0)
    patience.rest(1000.0)
    assert not patience.ends(1029.0, 0, 100, 30.0)
    assert patience.ends(1030.0, 0, 100, 30.0)


# --- bodies


async def trickle(writer: asyncio.StreamWriter, size: int, pause: float) -> None:
    while not writer.is_closing():
        writer.write(b"x" * size)
        await asyncio.sleep(pause)


async def test_a_body_that_trickles_is_408_though_no_pause_is_long() -> None:
    timeouts, limits = ClientTimeouts(body=0.5), ClientLimits(min_rate=1000)
    async with proxy_before(echo, timeouts=timeouts, limits=limits) as proxy:
        reader, writer = await proxy.connect()
        writer.write(POST)
        trickling = asyncio.create_task(trickle(writer, 1, 0.02))  # 50 bytes a second
        answer = await asyncio.wait_for(reader.readuntil(b"}"), 5)
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b'"code":"body_too_slow"' in answer
        (record,) = await proxy.recorded()
        assert (record.status, record.reason) == (408, "body_too_slow")
        trickling.cancel()
        writer.close()


async def test_a_body_that_is_slow_and_steady_passes() -> None:
    timeouts, limits = ClientTimeouts(body=0.5), ClientLimits(min_rate=1000)
    async with proxy_before(echo, timeouts=timeouts, limits=limits) as proxy:
        reader, writer = await proxy.connect()
        writer.write(POST)
        for _ in range(100):
            writer.write(b"x" * 100)  # about 5,000 bytes a second
            await asyncio.sleep(0.02)
        assert (await read_answer(reader)).endswith(b"x" * 100)
        writer.close()


async def test_a_refused_body_that_trickles_closes_the_connection() -> None:
    async with proxy_before(echo, timeouts=ClientTimeouts(body=0.3)) as proxy:
        proxy.gate.refusal = Unauthorized("no")
        reader, writer = await proxy.connect()
        writer.write(POST)
        assert (await read_answer(reader)).startswith(b"HTTP/1.1 401 ")
        assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()


async def test_a_service_that_takes_nothing_is_to_blame_and_not_the_client() -> None:
    async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(3600)

    async with proxy_before(deaf, timeouts=ClientTimeouts(body=0.3)) as proxy:
        proxy.pool.timeouts = proxy.pool.timeouts.__class__(idle=0.8)
        reader, writer = await proxy.connect()
        writer.write(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 90000000\r\n\r\n" + b"u" * 90_000_000)
        answer = await asyncio.wait_for(reader.readuntil(b"}"), 10)
        assert answer.startswith(b"HTTP/1.1 504 ")
        writer.transport.abort()


# --- answers


async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % GIB)
    for _ in range(GIB // 65536):
        writer.write(b"z" * 65536)
        await writer.drain()


@asynccontextmanager
async def reading(proxy: Proxy, buffer: int) -> AsyncIterator[socket.socket]:
    """A connection whose kernel takes no more than about `buffer` bytes before they are read."""
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", proxy.port))
        yield sock


async def stuck(proxy: Proxy) -> ClientConnection:
    """The connection, once nothing more is taken from the service for it."""
    while not proxy.connections:
        await asyncio.sleep(0.01)
    (connection,) = proxy.server.connections
    assert connection.current is not None
    before = -1
    while before != connection.current.bytes_out:
        before = connection.current.bytes_out
        await asyncio.sleep(0.1)
    return connection


async def test_a_client_that_does_not_read_a_gibibyte_holds_little_and_is_cut() -> None:
    async with proxy_before(endless, timeouts=ClientTimeouts(write=1.0)) as proxy, reading(proxy, 65536) as sock:
        await asyncio.get_running_loop().sock_sendall(sock, GET)
        connection = await stuck(proxy)
        assert connection.write_paused
        assert connection.transport is not None
        assert connection.transport.get_write_buffer_size() <= HELD
        (record,) = await proxy.recorded()
        assert (record.status, record.reason) == (200, "client_too_slow")
        assert record.bytes_out < 32_000_000  # sockets' buffers, mostly
        assert proxy.server.refused_connections()["slow_reader"] == 1
        while proxy.pool.counts() != (0, 0) or proxy.server.connections:
            await asyncio.sleep(0.01)


async def test_a_client_that_reads_slowly_and_steadily_is_served() -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 6000000\r\n\r\n" + b"z" * 6_000_000
    timeouts, limits = ClientTimeouts(write=0.5), ClientLimits(min_rate=1000)
    loop = asyncio.get_running_loop()
    async with proxy_before(answering(answer), timeouts=timeouts, limits=limits) as proxy:
        async with reading(proxy, 65536) as sock:
            await loop.sock_sendall(sock, GET)
            received = 0
            for _ in range(15):  # a second and a half of it
                received += len(await loop.sock_recv(sock, 32768))
                await asyncio.sleep(0.1)
            while received < 6_000_000:
                part = await asyncio.wait_for(loop.sock_recv(sock, 1_000_000), 5)
                assert part, "it was cut"
                received += len(part)
        (record,) = await proxy.recorded()
    assert (record.status, record.reason) == (200, "ok")


async def test_a_client_that_reads_by_trickles_is_cut() -> None:
    timeouts, limits = ClientTimeouts(write=0.8), ClientLimits(min_rate=10_000_000)
    async with proxy_before(endless, timeouts=timeouts, limits=limits) as proxy, reading(proxy, 65536) as sock:
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(sock, GET)
        while not proxy.records:
            await asyncio.wait_for(loop.sock_recv(sock, 8192), 5)
            await asyncio.sleep(0.05)
        assert proxy.records[0].reason == "client_too_slow"


async def test_a_client_that_asks_and_asks_and_never_reads_is_held_and_then_cut() -> None:
    timeouts, limits = ClientTimeouts(write=1.0), ClientLimits(requests=1_000_000)
    async with proxy_before(echo, timeouts=timeouts, limits=limits) as proxy, reading(proxy, 4096) as sock:
        proxy.gate.refusal = Unauthorized("no")
        loop = asyncio.get_running_loop()

        async def ask() -> None:
            while True:
                await loop.sock_sendall(sock, GET * 900)

        asking = asyncio.create_task(ask())
        most = 0
        while not proxy.server.refused_connections()["slow_reader"]:
            for connection in proxy.server.connections:
                if connection.transport is not None:
                    most = max(most, connection.transport.get_write_buffer_size())
                    assert len(connection.queue) <= 1000 + 900
            await asyncio.sleep(0.01)
        with pytest.raises(OSError, match=r"reset|pipe"):
            await asyncio.wait_for(asking, 5)
        assert 0 < most <= HELD


async def test_what_was_held_back_is_answered_once_the_client_reads() -> None:
    limits = ClientLimits(requests=100_000)
    async with proxy_before(echo, limits=limits) as proxy, reading(proxy, 4096) as sock:
        proxy.gate.refusal = Unauthorized("no")
        loop = asyncio.get_running_loop()
        padded = GET[:-2] + b"X: %b\r\n\r\n" % (b"x" * 400)  # so that no read brings more than may be pipelined
        asking = asyncio.create_task(loop.sock_sendall(sock, padded * 20_000))
        await asyncio.sleep(0.3)
        assert len(proxy.records) < 20_000
        tail, answers = b"", 0
        while answers < 20_000:
            part = await asyncio.wait_for(loop.sock_recv(sock, 1_000_000), 5)
            assert part, "it was cut"
            answers += (tail + part).count(b"HTTP/1.1 401 ")
            tail = part[-12:]
        await asking
        assert len(proxy.records) == 20_000


async def test_an_answer_that_ends_while_nobody_reads_does_not_keep_the_connection_for_ever() -> None:
    timeouts = ClientTimeouts(write=0.5, keep_alive=0.3)
    async with proxy_before(echo, timeouts=timeouts) as proxy, reading(proxy, 4096) as sock:
        proxy.gate.refusal = Unauthorized("no")
        await asyncio.get_running_loop().sock_sendall(sock, GET)
        await proxy.recorded()
        (connection,) = proxy.server.connections
        assert connection.transport is not None
        connection.transport.write(b"x" * 20_000_000)  # more than any socket holds
        while proxy.server.connections:  # closing waits for the client, but not for ever
            await asyncio.sleep(0.01)


async def test_a_service_is_not_blamed_for_a_client_that_reads_slowly() -> None:
    async with proxy_before(endless, timeouts=ClientTimeouts(write=1.5)) as proxy, reading(proxy, 65536) as sock:
        proxy.pool.timeouts = proxy.pool.timeouts.__class__(idle=0.2)
        await asyncio.get_running_loop().sock_sendall(sock, GET)
        (record,) = await proxy.recorded()
        assert record.reason == "client_too_slow"


async def test_early_hints_and_a_head_pass_while_a_body_is_slow() -> None:
    """Both ways at once: an answer may begin while its request still comes."""

    async def eager(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n")
        await reader.readexactly(10_000)
        writer.write(b"done")

    async with proxy_before(eager, timeouts=ClientTimeouts(body=5.0)) as proxy:
        reader, writer = await proxy.connect()
        writer.write(POST)
        await read_head(reader)
        writer.write(b"x" * 10_000)
        assert await asyncio.wait_for(reader.readexactly(4), 5) == b"done"
        writer.close()
