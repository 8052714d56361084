"""Bodies both ways: framing, streaming with back-pressure, 100-continue, pipelining."""

import asyncio

import pytest
from rigs.proxy import echo, proxy_before, read_answer, read_head

from gateway.errors import Unauthorized

GET = b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n"


async def test_a_body_with_a_length_arrives_whole() -> None:
    async with proxy_before(echo) as proxy:
        answer = await proxy.talk(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello")
    assert answer.endswith(b"content-length: 5\r\n\r\nhello")


async def test_chunks_are_framed_anew() -> None:
    request = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;ext=1\r\nabc\r\n02\r\nde\r\n0\r\n\r\n"
    async with proxy_before(echo) as proxy:
        answer = await proxy.talk(request)
    assert answer.endswith(b"transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")


async def test_200_pipelined_requests_are_answered_in_order_each_with_its_own_head() -> None:
    requests = b"".join(b"GET /%d HTTP/1.1\r\nHost: a\r\nX-Number: %d\r\n\r\n" % (i, i) for i in range(200))
    async with proxy_before(echo) as proxy:
        reader, writer = await proxy.connect()
        writer.write(requests)
        for i in range(200):
            answer = await read_answer(reader)
            assert b"GET /%d HTTP/1.1\r\n" % i in answer
            assert b"\r\nx-number: %d\r\n" % i in answer
            assert answer.count(b"x-number") == 1
        writer.close()
        await proxy.recorded(200)
        assert proxy.connections == 1  # one upstream connection served them all


async def test_pipelined_bodies_stay_with_their_requests() -> None:
    post = b"POST /%d HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nb%02d"
    async with proxy_before(echo) as proxy:
        reader, writer = await proxy.connect()
        writer.write(b"".join(post % (i, i) for i in range(50)))
        for i in range(50):
            assert (await read_answer(reader)).endswith(b"\r\n\r\nb%02d" % i)
        writer.close()


async def test_refused_requests_do_not_disturb_those_pipelined_behind_them() -> None:
    async with proxy_before(echo) as proxy:
        proxy.gate.refusal = Unauthorized("no", challenges=("Bearer",))
        reader, writer = await proxy.connect()
        writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody" * 900)
        for _ in range(900):
            assert (await read_answer(reader)).startswith(b"HTTP/1.1 401 ")
        proxy.gate.refusal = None
        writer.write(GET % 1)
        assert b"GET /1 " in await read_answer(reader)
        writer.close()


async def test_100_continue_comes_after_the_gate_let_in_and_never_before() -> None:
    request = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
    async with proxy_before(echo) as proxy:
        reader, writer = await proxy.connect()
        writer.write(request)
        assert await read_head(reader) == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"ok")
        answer = await read_answer(reader)
        assert answer.endswith(b"\r\n\r\nok")
        assert b"expect" not in answer
        writer.close()
        proxy.gate.refusal = Unauthorized("no")
        answer = await proxy.talk(request, until_close=True)
        assert answer.startswith(b"HTTP/1.1 401 ")
        assert b"connection: close" in answer


async def test_a_large_refused_body_closes_the_connection_and_the_answer_still_arrives() -> None:
    async with proxy_before(echo) as proxy:
        proxy.gate.refusal = Unauthorized("no")
        reader, writer = await proxy.connect()
        writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10000000\r\n\r\n" + b"x" * 500_000)
        answer = await asyncio.wait_for(reader.read(), 5)
        assert answer.startswith(b"HTTP/1.1 401 ")
        assert b"connection: close" in answer
        writer.close()


async def test_a_body_that_waits_for_the_gate_is_bounded_and_then_sent() -> None:
    async with proxy_before(echo) as proxy:
        proxy.gate.later = []
        reader, writer = await proxy.connect()
        writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4000000\r\n\r\n")
        body = asyncio.create_task(send(writer, b"y" * 4_000_000))
        while not proxy.gate.later:
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.1)
        (connection,) = proxy.server.connections
        assert connection.current is not None
        assert connection.current.backlog_size <= 512 * 1024
        proxy.gate.later.pop()()
        answer = await read_answer(reader)
        assert answer.endswith(b"y" * 1000)
        assert len(answer) > 4_000_000
        await body
        writer.close()


async def send(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(data)
    await writer.drain()


async def test_a_slow_reader_stops_the_service_instead_of_filling_memory() -> None:
    sent = 0

    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while sent < 100_000_000:
            writer.write(b"10000\r\n" + b"z" * 65536 + b"\r\n")
            await writer.drain()
            sent += 65536

    async with proxy_before(endless) as proxy:
        reader, writer = await proxy.connect()
        writer.write(GET % 1)
        await read_head(reader)
        before = -1
        while before != sent:  # until nothing moves any more
            before = sent
            await asyncio.sleep(0.2)
        assert sent < 30_000_000  # what sockets and bounded buffers hold
        await asyncio.wait_for(reader.readexactly(1_000_000), 5)
        await asyncio.sleep(0.1)
        writer.transport.abort()
        (record,) = await proxy.recorded()
    assert record.reason == "client_abort"
    assert record.status == 200


async def test_a_service_that_does_not_read_stops_the_client() -> None:
    release = asyncio.Event()

    async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await release.wait()
        await reader.readexactly(50_000_000)
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")

    async with proxy_before(deaf) as proxy:
        reader, writer = await proxy.connect()
        writer.write(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 50000000\r\n\r\n")
        upload = asyncio.create_task(send(writer, b"u" * 50_000_000))
        await asyncio.sleep(0.3)
        assert writer.transport.get_write_buffer_size() > 20_000_000  # it is held back at its source
        release.set()
        assert (await read_answer(reader)).startswith(b"HTTP/1.1 204 ")
        await upload
        writer.close()


@pytest.mark.parametrize("keep", [b"", b"Connection: keep-alive\r\n"])
async def test_http_10_gets_no_chunks(keep: bytes) -> None:
    async def chunks(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n")

    async with proxy_before(chunks) as proxy:
        answer = await proxy.talk(b"GET / HTTP/1.0\r\n%b\r\n" % keep, until_close=True)
    assert b"chunked" not in answer
    assert answer.endswith(b"connection: close\r\n\r\nhi")


async def test_http_10_keep_alive_is_honoured_where_the_length_is_known() -> None:
    async with proxy_before(echo) as proxy:
        reader, writer = await proxy.connect()
        for _ in range(2):
            writer.write(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            assert b"connection: keep-alive\r\n" in await read_answer(reader)
        writer.close()
