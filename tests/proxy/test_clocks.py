"""Clocks and the stop: what takes too long ends, what is in flight at a stop is finished."""

import asyncio
import time
from itertools import pairwise

from rigs.proxy import answering, echo, proxy_before, read_answer, read_head

from gateway.model import ClientTimeouts
from gateway.proxy.server import AT_ONCE

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


async def test_a_head_that_trickles_is_408() -> None:
    async with proxy_before(echo, timeouts=ClientTimeouts(head=0.05)) as proxy:
        reader, writer = await proxy.connect()
        for byte in b"GET / HTTP/1.1\r\nHo":
            writer.write(bytes([byte]))
            await asyncio.sleep(0.005)
        answer = await asyncio.wait_for(reader.read(), 5)
        writer.close()
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b'"code":"request_timeout"' in answer


async def test_an_idle_connection_is_closed_without_a_word() -> None:
    async with proxy_before(echo, timeouts=ClientTimeouts(keep_alive=0.05)) as proxy:
        reader, writer = await proxy.connect()
        assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()
        assert proxy.records == []


async def test_many_connections_are_looked_at_some_at_a_time() -> None:
    """So that traffic is not held up by the clocks of those who say nothing."""
    async with proxy_before(echo, timeouts=ClientTimeouts(keep_alive=0.05)) as proxy:
        clients = [await proxy.connect() for _ in range(2 * AT_ONCE + 50)]
        left = []
        async with asyncio.timeout(20):
            while not left or left[-1]:
                left.append(len(proxy.server.connections))
                await asyncio.sleep(0)
        for _, writer in clients:
            writer.close()
    closed = [before - after for before, after in pairwise(left)]
    assert 0 < max(closed) <= AT_ONCE


async def test_a_body_that_stalls_is_408_and_the_service_is_told() -> None:
    aborted = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        try:
            await reader.readexactly(10)
        except (asyncio.IncompleteReadError, ConnectionError):
            aborted.set()

    async with proxy_before(script, timeouts=ClientTimeouts(body=0.05)) as proxy:
        answer = await proxy.talk(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf", until_close=True)
        await asyncio.wait_for(aborted.wait(), 5)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b'"code":"body_too_slow"' in answer


async def test_idle_upstream_connections_are_closed_before_their_peer_would() -> None:
    async with proxy_before(echo) as proxy:
        await proxy.talk(GET)
        assert proxy.pool.counts() == (1, 1)
        proxy.pool.sweep(time.monotonic() + 31)
        await asyncio.sleep(0.01)
        assert proxy.pool.counts() == (0, 0)


async def test_a_post_gets_a_fresh_connection_after_a_pause() -> None:
    async with proxy_before(echo) as proxy:
        await proxy.talk(GET)
        (connection,) = proxy.pool._endpoints[0].idle
        connection.idle_since -= 5
        await proxy.talk(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
        assert proxy.connections == 2


async def test_a_stop_finishes_what_is_in_flight_and_closes() -> None:
    release = asyncio.Event()

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await release.wait()
        writer.write(OK)

    async with proxy_before(slow) as proxy:
        reader, writer = await proxy.connect()
        idle_reader, idle_writer = await proxy.connect()
        writer.write(GET)
        while not proxy.connections:
            await asyncio.sleep(0.001)
        drain = asyncio.create_task(proxy.server.drain(5, grace=0))
        assert await idle_reader.read() == b""
        release.set()
        answer = await read_answer(reader)
        assert b"connection: close\r\n" in answer
        assert answer.endswith(b"ok")
        assert await drain == 0
        writer.close()
        idle_writer.close()


async def test_a_request_that_arrives_during_the_grace_is_answered_and_is_the_last() -> None:
    async with proxy_before(echo) as proxy:
        reader, writer = await proxy.connect()
        writer.write(GET)
        await read_answer(reader)
        drain = asyncio.create_task(proxy.server.drain(5, grace=0.1))
        await asyncio.sleep(0.01)
        writer.write(GET)
        assert b"connection: close\r\n" in await read_answer(reader)
        assert await reader.read() == b""
        assert await drain == 0
        writer.close()


async def test_what_does_not_end_in_time_is_cut() -> None:
    async def never(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with proxy_before(never) as proxy:
        _, writer = await proxy.connect()
        writer.write(GET)
        while not proxy.connections:
            await asyncio.sleep(0.001)
        assert await proxy.server.drain(0.05, grace=0) == 1
        writer.close()
        (record,) = await proxy.recorded()
        assert (record.status, record.reason) == (0, "client_abort")


async def test_a_client_that_leaves_frees_the_upstream_connection() -> None:
    gone = asyncio.Event()

    async def waits(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        try:
            await reader.read()
        finally:
            gone.set()

    async with proxy_before(waits) as proxy:
        _, writer = await proxy.connect()
        writer.write(GET)
        while not proxy.connections:
            await asyncio.sleep(0.001)
        writer.transport.abort()
        await asyncio.wait_for(gone.wait(), 5)
        (record,) = await proxy.recorded()
    assert (record.status, record.reason) == (0, "client_abort")


async def test_a_client_that_leaves_while_the_gate_thinks_is_not_forwarded() -> None:
    async with proxy_before(answering(OK)) as proxy:
        proxy.gate.later = []
        _, writer = await proxy.connect()
        writer.write(GET)
        while not proxy.gate.later:
            await asyncio.sleep(0.001)
        writer.transport.abort()
        await proxy.recorded()
        proxy.gate.later.pop()()
        await asyncio.sleep(0.01)
        assert proxy.connections == 0


async def test_answers_that_were_decided_late_keep_their_order() -> None:
    async with proxy_before(echo) as proxy:
        proxy.gate.later = []
        reader, writer = await proxy.connect()
        writer.write(b"".join(b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % i for i in range(3)))
        for i in range(3):
            while not proxy.gate.later:
                await asyncio.sleep(0.001)
            assert len(proxy.gate.later) == 1  # one at a time
            proxy.gate.later.pop()()
            assert b"GET /%d " % i in await read_answer(reader)
        writer.close()


async def test_the_record_tells_the_whole_story() -> None:
    async with proxy_before(echo) as proxy:
        reader, writer = await proxy.connect()
        writer.write(b"POST /a?secret=1 HTTP/1.1\r\nHost: A.example:80\r\nContent-Length: 3\r\n\r\nabc")
        await read_head(reader)
        (record,) = await proxy.recorded()
        writer.close()
    assert (record.method, record.host, record.path) == (b"POST", b"a.example", b"/a")
    assert (record.service, record.application, record.plan, record.subject) == ("echo", "mobile", "gold", "s")
    assert (record.status, record.reason, record.bytes_in) == (200, "ok", 3)
    assert record.upstream_name == str(proxy.target)
    assert record.upstream_seconds is not None
    assert 0 < record.upstream_seconds <= record.seconds
