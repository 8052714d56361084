"""Answers of services, sound and faulty: nothing of one may ever reach the next request of a pooled connection."""

import asyncio
import os
import socket

import pytest
from rigs.proxy import answering, echo, proxy_before, read_answer, read_head

from gateway.model import Target, Timeouts

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
HEAD = b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


async def test_hop_by_hop_fields_of_an_answer_end_here() -> None:
    fields = b"Keep-Alive: 5\r\nX-Hop: 1\r\nConnection: x-hop\r\nX-Ok: 1\r\n"
    answer = b"HTTP/1.1 200 Fine\r\nContent-Length: 2\r\n" + fields + b"\r\nok"
    async with proxy_before(answering(answer)) as proxy:
        got = await proxy.talk(GET)
    assert got.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"x-ok: 1\r\n" in got
    assert b"x-hop" not in got
    assert b"eep-alive" not in got
    assert b"x-request-id: " in got
    assert got.endswith(b"\r\n\r\nok")


async def test_an_answer_without_a_date_gets_one_and_a_date_is_kept() -> None:
    dated = b"HTTP/1.1 200 OK\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\nContent-Length: 0\r\n\r\n"
    async with proxy_before(answering(OK)) as without, proxy_before(answering(dated)) as with_date:
        assert (await without.talk(GET)).count(b"\r\ndate: ") == 1
        assert (await with_date.talk(GET)).count(b"\r\ndate: Mon, 01 Jan 2024 00:00:00 GMT\r\n") == 1


@pytest.mark.parametrize("length", [b"Content-Length: 10\r\n", b"Transfer-Encoding: chunked\r\n", b""])
async def test_head_has_no_body_whatever_its_fields_announce(length: bytes) -> None:
    async with proxy_before(answering(b"HTTP/1.1 200 OK\r\n%b\r\n" % length)) as proxy:
        reader, writer = await proxy.connect()
        for _ in range(3):
            writer.write(HEAD)
            got = await read_answer(reader, head_only=True)
            assert got.startswith(b"HTTP/1.1 200 OK\r\n")
        writer.close()


@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified"])
async def test_204_and_304_have_no_body(status: bytes) -> None:
    async with proxy_before(answering(b"HTTP/1.1 %b\r\n\r\n" % status)) as proxy:
        reader, writer = await proxy.connect()
        for _ in range(3):
            writer.write(GET)
            assert (await read_head(reader)).startswith(b"HTTP/1.1 %b\r\n" % status)
        writer.close()
        assert proxy.connections == 1


async def test_an_answer_that_ends_with_its_connection_becomes_chunked() -> None:
    async with proxy_before(answering(b"HTTP/1.1 200 OK\r\n\r\nuntil the end", then_close=True)) as proxy:
        reader, writer = await proxy.connect()
        for _ in range(2):
            writer.write(GET)
            got = await read_answer(reader)
            assert got.endswith(b"d\r\nuntil the end\r\n0\r\n\r\n")
        writer.close()


async def test_early_hints_pass_and_a_stray_100_does_not() -> None:
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n"
    async with proxy_before(answering(hints + OK)) as proxy:
        reader, writer = await proxy.connect()
        for _ in range(2):
            writer.write(GET)
            assert await read_head(reader) == b"HTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\n\r\n"
            assert (await read_answer(reader)).startswith(b"HTTP/1.1 200 OK\r\n")
        writer.close()


FAULTY = {
    "garbage": b"SSH-2.0-OpenSSH\r\n\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nok",
    "the same length twice": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok",
    "both framings": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    "chunked twice": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "other coding": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "chunked in 1.0": b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "unasked 101": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    "HTTP/2.0": b"HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "many 1xx": b"HTTP/1.1 102 Processing\r\n\r\n" * 20 + OK,
    "a huge head": b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n",
    "bare CR": b"HTTP/1.1 200 OK\r\nX: a\rb\r\nContent-Length: 2\r\n\r\nok",
    "folded": b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 2\r\n\r\nok",
}


@pytest.mark.parametrize("name", FAULTY)
async def test_a_faulty_answer_is_502_and_its_connection_is_never_used_again(name: str) -> None:
    async with proxy_before(answering(FAULTY[name])) as proxy:
        reader, writer = await proxy.connect()
        for _ in range(2):
            writer.write(GET)
            got = await read_answer(reader)
            assert got.startswith(b"HTTP/1.1 502 Bad Gateway\r\n"), got
            assert b'"code":"upstream_broken"' in got
        assert proxy.connections == 2
        assert proxy.pool.counts()[1] == 0
        writer.close()


POISON = {
    "a second answer": (GET, OK + b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"),
    "a body on HEAD": (HEAD, b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"),
    "a body on 204": (GET, b"HTTP/1.1 204 No Content\r\nContent-Length: 6\r\n\r\npoison"),
    "more than its length": (GET, OK + b"poison"),
}


@pytest.mark.parametrize("name", POISON)
async def test_excess_bytes_never_reach_the_next_request(name: str) -> None:
    request, answer = POISON[name]
    async with proxy_before(answering(answer)) as proxy:
        reader, writer = await proxy.connect()
        for number in range(1, 3):
            writer.write(request)
            got = await read_answer(reader, head_only=request is HEAD)
            assert b"poison" not in got
            await asyncio.sleep(0.01)
            assert proxy.pool.counts() == (0, 0)
            assert proxy.connections == number
        writer.close()


async def test_an_answer_cut_short_cuts_the_clients_connection() -> None:
    cut = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this"
    async with proxy_before(answering(cut, then_close=True)) as proxy:
        reader, writer = await proxy.connect()
        writer.write(GET)
        with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
            await read_answer(reader)
        (record,) = await proxy.recorded()
        writer.close()
    assert record.reason == "upstream_broken"


async def test_a_connection_that_closed_while_idle_is_replaced_without_the_client_noticing() -> None:
    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)
        await reader.readuntil(b"\r\n\r\n")  # the second request is never answered

    async with proxy_before(once) as proxy:
        reader, writer = await proxy.connect()
        for _ in range(3):
            writer.write(GET)
            assert (await read_answer(reader)).endswith(b"ok")
        assert proxy.connections == 3
        writer.close()


async def test_a_post_is_not_sent_twice() -> None:
    requests = 0

    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal requests
        await reader.readuntil(b"\r\n\r\n")
        requests += 1
        writer.write(OK)
        await reader.readuntil(b"\r\n\r\n")
        requests += 1

    async with proxy_before(once) as proxy:
        reader, writer = await proxy.connect()
        writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n" * 2)
        assert (await read_answer(reader)).startswith(b"HTTP/1.1 200 ")
        assert (await read_answer(reader)).startswith(b"HTTP/1.1 502 ")
        writer.close()
    assert requests == 2


async def test_an_unreachable_service_is_502_and_another_target_is_tried_first() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    dead = Target(False, "127.0.0.1", port)
    async with proxy_before(echo, targets=(dead,)) as proxy:
        got = await proxy.talk(GET)
        assert got.startswith(b"HTTP/1.1 502 ")
        assert b'"code":"upstream_unreachable"' in got
    async with proxy_before(echo) as alive, proxy_before(echo, targets=(dead, alive.target)) as proxy:
        for _ in range(4):
            assert (await proxy.talk(GET)).startswith(b"HTTP/1.1 200 ")


async def test_a_service_that_does_not_answer_is_504() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with proxy_before(silent) as proxy:
        proxy.pool.timeouts = Timeouts(response=0.05)
        got = await proxy.talk(GET)
    assert got.startswith(b"HTTP/1.1 504 ")
    assert b'"code":"upstream_timeout"' in got


async def test_a_service_that_stalls_in_its_answer_is_cut() -> None:
    async def stalls(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome")
        await reader.read()

    async with proxy_before(stalls) as proxy:
        proxy.pool.timeouts = Timeouts(idle=0.05)
        reader, writer = await proxy.connect()
        writer.write(GET)
        with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
            await read_answer(reader)
        (record,) = await proxy.recorded()
        writer.close()
    assert record.reason == "upstream_timeout"


async def test_an_early_answer_ends_the_upload_and_both_connections() -> None:
    async with proxy_before(answering(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n")) as proxy:
        reader, writer = await proxy.connect()
        writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nfirst bytes")
        got = await read_answer(reader)
        assert got.startswith(b"HTTP/1.1 413 ")
        assert b"connection: close\r\n" in got
        assert await reader.read() == b""
        writer.close()
        assert proxy.pool.counts()[1] == 0


async def test_a_host_that_no_resolver_takes_is_502_like_one_that_is_away() -> None:
    async with proxy_before(echo, targets=(Target(False, "a..b", 80),)) as proxy:
        got = await proxy.talk(GET)
    assert got.startswith(b"HTTP/1.1 502 ")
    assert b'"code":"upstream_unreachable"' in got


@pytest.mark.parametrize("late", [b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison", b""])
async def test_what_a_service_says_unasked_is_seen_before_the_next_request_is_sent(late: bytes) -> None:
    """A second answer, or the end, that waits unread in the kernel while the loop turns to the next request first."""
    writers: list[asyncio.StreamWriter] = []

    async def service(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        while True:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(OK)

    async with proxy_before(service) as proxy:
        reader, writer = await proxy.connect()
        writer.write(GET)
        await read_answer(reader)
        (connection,) = proxy.server.connections
        if late:
            os.write(writers[0].get_extra_info("socket").fileno(), late)  # at once, whenever the loop would write
        else:
            writers[0].transport.abort()
            await asyncio.sleep(0)
        connection.data_received(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")  # before the loop looks
        assert (await read_answer(reader)).endswith(b"\r\n\r\nok")
        assert proxy.connections == 2
        writer.close()


ENDLESS = {
    "an extension": b"5;" + b"x" * 200_000,
    "trailers": b"2\r\nhi\r\n0\r\n" + b"X-T: 1\r\n" * 30_000,
    "a trailer": b"2\r\nhi\r\n0\r\nX-T: " + b"x" * 200_000,
}


@pytest.mark.parametrize("name", ENDLESS)
async def test_what_frames_an_answer_is_bounded(name: str) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for start in range(0, len(ENDLESS[name]), 20_000):
            writer.write(ENDLESS[name][start : start + 20_000])
            await asyncio.sleep(0.005)
        await reader.read()

    async with proxy_before(script) as proxy:
        reader, writer = await proxy.connect()
        writer.write(GET)
        with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
            await read_answer(reader)
        (record,) = await proxy.recorded()
        writer.close()
    assert record.reason == "upstream_broken"


async def test_a_service_cannot_set_the_gateways_own_cookies() -> None:
    fields = b"Set-Cookie: a=1; Path=/\r\nSet-Cookie: __Host-plangate=forged; Path=/; Secure\r\nSet-Cookie: b=2\r\n"
    async with proxy_before(answering(b"HTTP/1.1 200 OK\r\n%bContent-Length: 2\r\n\r\nok" % fields)) as proxy:
        got = await proxy.talk(GET)
    assert b"\r\nset-cookie: a=1; Path=/\r\nset-cookie: b=2\r\n" in got
    assert b"forged" not in got
