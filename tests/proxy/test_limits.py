"""How much a client may send: targets, heads, bodies and what frames them, requests on a connection."""

import asyncio
import contextlib

import pytest
from rigs.proxy import Proxy, answering, echo, proxy_before, read_answer, read_head

from gateway.errors import Unauthorized
from gateway.model import UNLIMITED, ClientLimits, ClientTimeouts

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


async def status(request: bytes, **limits: int) -> bytes:
    async with proxy_before(answering(OK), limits=ClientLimits(**limits)) as proxy:
        return (await proxy.talk(request))[9:12]


# --- heads


@pytest.mark.parametrize(("length", "expected"), [(300, b"200"), (301, b"414")])
async def test_a_target_has_a_length(length: int, expected: bytes) -> None:
    target = b"/" + b"x" * (length - 1)
    assert await status(b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % target, target=300) == expected


async def test_a_target_that_is_too_long_is_refused_also_where_the_rest_of_the_head_repeats() -> None:
    async with proxy_before(echo, limits=ClientLimits(target=300)) as proxy:
        reader, writer = await proxy.connect()
        for _ in range(3):
            writer.write(GET)
            assert (await read_answer(reader)).startswith(b"HTTP/1.1 200 ")
        writer.write(b"GET /%b HTTP/1.1\r\nHost: a\r\n\r\n" % (b"x" * 300))
        answer = await asyncio.wait_for(reader.read(), 5)
        assert answer.startswith(b"HTTP/1.1 414 ")
        assert b'"code":"target_too_long"' in answer
        writer.close()


@pytest.mark.parametrize(("size", "expected"), [(900, b"200"), (1100, b"431")])
async def test_a_head_has_a_size(size: int, expected: bytes) -> None:
    assert await status(b"GET / HTTP/1.1\r\nHost: a\r\nX: %b\r\n\r\n" % (b"x" * size), head=1024) == expected


@pytest.mark.parametrize("name", [b"X", b"Host", b"Connection"])
async def test_a_head_has_so_many_fields_whatever_becomes_of_them(name: bytes) -> None:
    request = b"GET / HTTP/1.1\r\nHost: a\r\n" + b"%b: close\r\n" % name * 9 + b"\r\n"
    assert await status(request, fields=9) == b"431"


async def test_empty_lines_are_no_way_to_send_for_ever() -> None:
    async with proxy_before(echo) as proxy:
        answer = await proxy.talk(b"\r\n" * 20_000, until_close=True)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.count(b"HTTP/1.1 ") == 1


async def test_empty_lines_are_no_sign_of_life() -> None:
    async with proxy_before(echo, timeouts=ClientTimeouts(keep_alive=0.3)) as proxy:
        reader, writer = await proxy.connect()
        closed = asyncio.create_task(reader.read())
        for _ in range(200):
            if closed.done():
                break
            writer.write(b"\r\n")
            await asyncio.sleep(0.02)
        with contextlib.suppress(ConnectionResetError):  # the last line was one too many
            assert await closed == b""
        assert proxy.records == []
        writer.close()


# --- bodies


@pytest.mark.parametrize(
    ("length", "limit", "expected"),
    [(1000, 1000, b"200"), (1001, 1000, b"413"), (1, 0, b"413"), (0, 0, b"200"), (10**6, UNLIMITED, b"200")],
)
async def test_a_body_with_a_length_is_judged_by_it(length: int, limit: int, expected: bytes) -> None:
    request = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % length
    async with proxy_before(echo, max_body=limit) as proxy:
        answer = await proxy.talk(request + b"x" * length)
        assert answer[9:12] == expected
        assert proxy.connections == (1 if expected == b"200" else 0)  # refused at once, the service hears nothing


async def test_a_body_that_will_be_too_large_is_not_asked_for() -> None:
    request = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2000000\r\nExpect: 100-continue\r\n\r\n"
    async with proxy_before(echo, max_body=1_000_000) as proxy:
        answer = await proxy.talk(request, until_close=True)
        (record,) = await proxy.recorded()
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"\r\nconnection: close\r\n" in answer
    assert b'"code":"body_too_large"' in answer
    assert (record.status, record.reason) == (413, "body_too_large")


async def test_a_small_body_that_is_too_large_does_not_cost_the_connection() -> None:
    async with proxy_before(echo, max_body=2) as proxy:
        reader, writer = await proxy.connect()
        for _ in range(2):
            writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc")
            assert (await read_answer(reader)).startswith(b"HTTP/1.1 413 ")
            writer.write(GET)
            assert (await read_answer(reader)).startswith(b"HTTP/1.1 200 ")
        writer.close()


class Witness:
    """A service that notes what of a body it got, and how it ended."""

    def __init__(self, answer: bytes = b"") -> None:
        self.answer = answer
        self.got = b""
        self.ended = asyncio.Event()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(self.answer)
        try:
            while part := await reader.read(65536):
                self.got += part
        except ConnectionResetError:
            pass
        self.ended.set()


async def test_chunks_beyond_the_limit_are_413_and_the_service_never_takes_them_for_a_whole() -> None:
    witness = Witness()
    async with proxy_before(witness, max_body=100_000) as proxy:
        reader, writer = await proxy.connect()
        writer.write(CHUNKED)
        writer.write(b"c350\r\n" + b"x" * 50_000 + b"\r\n")
        while len(witness.got) < 50_000:
            await asyncio.sleep(0.001)
        writer.write(b"c351\r\n" + b"x" * 50_001 + b"\r\n0\r\n\r\n")
        answer = await asyncio.wait_for(reader.read(), 5)
        await asyncio.wait_for(witness.ended.wait(), 5)
        (record,) = await proxy.recorded()
        writer.close()
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert answer.count(b"HTTP/1.1 ") == 1
    assert b"0\r\n\r\n" not in witness.got
    assert (record.status, record.reason) == (413, "body_too_large")
    assert record.upstream_seconds is None or record.upstream_seconds > 0


async def test_chunks_beyond_the_limit_after_the_answer_began_cut_it() -> None:
    witness = Witness(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nearly")
    async with proxy_before(witness, max_body=10) as proxy:
        reader, writer = await proxy.connect()
        writer.write(CHUNKED + b"3\r\nabc\r\n")
        assert (await read_head(reader)).startswith(b"HTTP/1.1 200 ")
        writer.write(b"8\r\nabcdefgh\r\n0\r\n\r\n")
        with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
            await reader.readexactly(100)
        await asyncio.wait_for(witness.ended.wait(), 5)
        (record,) = await proxy.recorded()
        writer.close()
    assert b"0\r\n\r\n" not in witness.got
    assert (record.status, record.reason) == (200, "body_too_large")


async def test_chunks_up_to_the_limit_pass() -> None:
    async with proxy_before(echo, max_body=8) as proxy:
        answer = await proxy.talk(CHUNKED + b"3\r\nabc\r\n5\r\nabcde\r\n0\r\n\r\n")
    assert answer.endswith(b"3\r\nabc\r\n5\r\nabcde\r\n0\r\n\r\n")


async def test_chunks_beyond_the_limit_behind_another_request_are_413_in_their_turn() -> None:
    async with proxy_before(echo, max_body=8) as proxy:
        reader, writer = await proxy.connect()
        writer.write(GET + CHUNKED + b"9\r\nabcdefghi\r\n0\r\n\r\n")
        assert (await read_answer(reader)).startswith(b"HTTP/1.1 200 ")
        assert (await read_answer(reader)).startswith(b"HTTP/1.1 413 ")
        writer.close()


ENDLESS = {
    "a chunk's size": (b"", b"0" * 10_000),
    "an extension": (b"5;", b"x" * 10_000),
    "an extension between chunks": (b"2\r\nhi\r\n5;", b"x" * 10_000),
    "a trailer": (b"2\r\nhi\r\n0\r\nX-T: ", b"x" * 10_000),
    "trailers": (b"2\r\nhi\r\n0\r\n", b"X-T: 1\r\n" * 1000),
}


@pytest.mark.parametrize("name", ENDLESS)
async def test_what_frames_a_body_is_bounded(name: str) -> None:
    begin, more = ENDLESS[name]
    async with proxy_before(Witness()) as proxy:
        reader, writer = await proxy.connect()
        writer.write(CHUNKED + begin)
        answer = asyncio.create_task(reader.read())
        sent = 0
        while not answer.done() and sent < 10_000_000:
            writer.write(more)
            sent += len(more)
            await asyncio.sleep(0.001)
        assert (await answer)[9:12] in (b"400", b"431")
        assert sent < 1_000_000
        writer.close()


async def test_an_extension_in_each_small_chunk_is_no_offence() -> None:
    chunks = b"1;signature=0123456789\r\nx\r\n" * 5000
    async with proxy_before(Witness(OK)) as proxy:
        answer = await proxy.talk(CHUNKED + chunks + b"0\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 ")


# --- what was given up hears nothing more


async def test_a_late_admission_of_a_request_that_was_refused_meanwhile_is_forgotten() -> None:
    async with proxy_before(answering(OK)) as proxy:
        proxy.gate.later = []
        reader, writer = await proxy.connect()
        writer.write(CHUNKED)
        while not proxy.gate.later:
            await asyncio.sleep(0.001)
        writer.write(b"no chunk\r\n")
        assert (await read_answer(reader)).startswith(b"HTTP/1.1 400 ")
        proxy.gate.later.pop()()
        await asyncio.sleep(0.05)
        assert proxy.connections == 0
        assert len(proxy.records) == 1
        writer.close()


# --- a connection's requests


async def answers_until_close(proxy: Proxy, most: int) -> list[bytes]:
    reader, writer = await proxy.connect()
    answers = []
    for _ in range(most):
        writer.write(GET)
        answers.append(await read_answer(reader))
        if b"connection: close" in answers[-1]:
            assert await asyncio.wait_for(reader.read(), 5) == b""
            break
    writer.close()
    return answers


@pytest.mark.parametrize("refused", [False, True])
async def test_a_connection_carries_so_many_requests(refused: bool) -> None:
    async with proxy_before(echo, limits=ClientLimits(requests=5)) as proxy:
        if refused:
            proxy.gate.refusal = Unauthorized("no")
        assert len(await answers_until_close(proxy, 10)) == 5


async def test_a_connection_that_is_old_gets_one_more_answer() -> None:
    async with proxy_before(echo, timeouts=ClientTimeouts(connection_age=0.3)) as proxy:
        reader, writer = await proxy.connect()
        writer.write(GET)
        assert b"connection: close" not in await read_answer(reader)
        await asyncio.sleep(0.7)
        writer.write(GET)
        assert b"connection: close" in await read_answer(reader)
        assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()
