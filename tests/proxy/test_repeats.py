"""Repeated heads are not parsed again: whatever comes in whatever order means what it means on a fresh connection."""

import asyncio
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rigs.proxy import Script, echo, proxy_before, read_answer

from gateway.proxy.repeats import Repeat, Repeats

LINES = st.sampled_from(
    [
        b"GET / HTTP/1.1",
        b"GET /a?b=1 HTTP/1.1",
        b"DELETE /x HTTP/1.1",
        b"OPTIONS /a/../b HTTP/1.1",
        b"POST / HTTP/1.1",
        b"GET /a/../../b HTTP/1.1",
        b"GET http://a/c HTTP/1.1",
        b"GET http://b/c HTTP/1.1",
        b"GET / HTTP/1.0",
        b"GET  / HTTP/1.1",
        b"GET /a\tb HTTP/1.1",
        b"TRACE / HTTP/1.1",
        b"OPTIONS * HTTP/1.1",
        b"GET * HTTP/1.1",
        b"GET / HTTP/2.0",
    ]
)
BLOCKS = st.sampled_from(
    [
        b"Host: a\r\nX-A: 1\r\n\r\n",
        b"Host: a\r\nX-A: 2\r\n\r\n",
        b"Host:a\r\n\r\n",
        b"Host: a\r\nX-Request-Id: fixed\r\nConnection: x-hop\r\nX-Hop: 1\r\n\r\n",
        b"Host: a\r\nX-Plan: evil\r\nAuthorization: Bearer t\r\n\r\n",
        b"Host: a\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n",
        b"Host: a\r\nContent-Length: 2\r\n\r\nhi",
        b"Host: a\r\nContent-Length: 0\r\n\r\n",
        b"Host: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"Host: a\r\nConnection: close\r\n\r\n",
        b"X: no host\r\n\r\n",
        b"Host: \r\n\r\n",
    ]
)
REQUESTS = st.lists(st.builds(lambda line, block: line + b"\r\n" + block, LINES, BLOCKS), min_size=2, max_size=12)


def normal(answer: bytes) -> bytes:
    """An answer without what differs by nature: ids, dates, ports and lengths."""
    answer = re.sub(rb"(?i)x-request-id: [0-9a-f]{32}|date: [^\r]*|traceparent: [^\r]*", b"", answer)
    return re.sub(rb"content-length: \d+|127\.0\.0\.1:\d+|\"request_id\":\"[0-9a-f]{32}\"", b"", answer)


async def answers_on(
    connection: tuple[asyncio.StreamReader, asyncio.StreamWriter], requests: list[bytes]
) -> list[bytes]:
    """Each request's answer, sent one after the other until the connection closes."""
    reader, writer = connection
    answers = []
    for request in requests:
        writer.write(request)
        try:
            answers.append(normal(await read_answer(reader)))
        except (asyncio.IncompleteReadError, ConnectionError):
            break
        if b"connection: close" in answers[-1]:
            break
    writer.close()
    return answers


async def compare_requests(requests: list[bytes]) -> None:
    async with proxy_before(echo) as proxy:
        together = await answers_on(await proxy.connect(), requests)
        later = [(await answers_on(await proxy.connect(), [request]))[0] for request in requests[: len(together)]]
        alone = []
        for request in requests[: len(together)]:
            proxy.server.repeats.clear()
            alone += (await answers_on(await proxy.connect(), [request]))[:1]
    assert together == alone
    assert later == alone


@settings(max_examples=100, deadline=None)
@given(REQUESTS)
def test_a_request_means_the_same_after_any_other(requests: list[bytes]) -> None:
    asyncio.run(compare_requests(requests))


ANSWERS = st.sampled_from(
    [
        b"HTTP/1.1 200 OK\r\nDate: d\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nDate: d\r\nContent-Length: 2\r\n\r\nno",
        b"HTTP/1.1 200 OK\r\nDate: d\r\nContent-Length: 3\r\n\r\nyes",
        b"HTTP/1.1 404 Not Found\r\nDate: d\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nDate: d\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nDate: d\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nDate: d\r\nContent-Length: 2\r\nConnection: x-hop\r\nX-Hop: 1\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nDate: d\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok",
        b"HTTP/1.1 204 No Content\r\nDate: d\r\n\r\n",
        b"HTTP/1.1 304 Not Modified\r\nDate: d\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 200 OK\r\nDate: d\r\nContent-Length: 2\r\n\r\nok",
    ]
)


def serving(answers: list[bytes]) -> Script:
    """An upstream that gives one answer after the other, however many connections it takes."""
    left = iter(answers)

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(next(left))

    return script


async def answers_of(answers: list[bytes], method: bytes, *, connections: int) -> list[bytes]:
    """What a client gets, over one upstream connection or a fresh one for each answer."""
    got = []
    async with proxy_before(serving(answers)) as proxy:
        for _ in answers:
            reader, writer = await proxy.connect()
            writer.write(method + b" / HTTP/1.1\r\nHost: a\r\n\r\n")
            parts = [await read_answer(reader, head_only=method == b"HEAD")]
            while parts[-1].startswith(b"HTTP/1.1 1"):
                parts.append(await read_answer(reader, head_only=method == b"HEAD"))
            got.append(normal(b"".join(parts)))
            writer.close()
            if connections > 1:
                proxy.pool._close_idle()
    return got


async def compare_answers(answers: list[bytes]) -> None:
    together = await answers_of(answers, b"GET", connections=1)
    assert together == await answers_of(answers, b"GET", connections=len(answers))


@settings(max_examples=60, deadline=None)
@given(st.lists(ANSWERS, min_size=2, max_size=8))
def test_an_answer_means_the_same_after_any_other(answers: list[bytes]) -> None:
    asyncio.run(compare_answers(answers))


@pytest.mark.parametrize("between", [b"HEAD", b"GET"])
async def test_a_head_request_between_equal_answers_has_no_body(between: bytes) -> None:
    ok = b"HTTP/1.1 200 OK\r\nDate: d\r\nContent-Length: 2\r\n\r\nok"
    bare = ok[:-2]
    async with proxy_before(serving([ok, bare if between == b"HEAD" else ok, ok])) as proxy:
        for method in (b"GET", between, b"GET"):
            reader, writer = await proxy.connect()
            writer.write(method + b" / HTTP/1.1\r\nHost: a\r\n\r\n")
            got = await read_answer(reader, head_only=method == b"HEAD")
            assert got.endswith(b"\r\n\r\n" if method == b"HEAD" else b"ok")
            writer.close()


async def test_a_head_that_another_client_sent_before_keeps_nothing_of_that_client() -> None:
    head = b"GET / HTTP/1.1\r\nHost: a\r\nX-A: 1\r\n\r\n"
    async with proxy_before(echo) as proxy:
        for address in ("127.0.0.1", "127.0.0.2", "127.0.0.2", "127.0.0.1"):
            reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port, local_addr=(address, 0))
            for _ in range(3):
                writer.write(head)
                assert f"\r\nx-forwarded-for: {address}\r\n".encode() in await read_answer(reader)
            writer.close()
        assert {record.peer for record in proxy.records} == {"127.0.0.1", "127.0.0.2"}


async def test_heads_that_take_turns_are_read_once() -> None:
    heads = [b"GET / HTTP/1.1\r\nHost: a\r\nX-A: %d\r\n\r\n" % number for number in range(40)]
    async with proxy_before(echo) as proxy:
        reader, writer = await proxy.connect()
        for head in heads * 2:
            writer.write(head)
            assert b"\r\nx-a: %b\r\n" % head.split()[-1] in await read_answer(reader)
        known = [head for head in heads if proxy.server.repeats.get(head[head.index(b"\r\n") :])]
        assert known[:16] == heads[:16]  # then each 16th, until one is known
        writer.close()


def test_the_oldest_head_makes_room() -> None:
    repeats = Repeats(most=10)
    for block in (b"aaaa", b"bbbb", b"aaaa", b"cccc"):
        repeats.put(Repeat(block, b"", b"", [], [], [], (), None, None))
    assert [repeats.get(block) is not None for block in (b"aaaa", b"bbbb", b"cccc")] == [False, True, True]


async def test_what_cannot_be_read_is_never_taken_for_the_head_before_it() -> None:
    good, bad = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"GET / HTTP/1.1\r\nX: no host\r\n\r\n"
    async with proxy_before(echo) as proxy:
        for _ in range(3):
            good_first, bad_then = await answers_on(await proxy.connect(), [good, bad])
            assert good_first.startswith(b"HTTP/1.1 200 ")
            assert bad_then.startswith(b"HTTP/1.1 400 ")
        assert proxy.server.repeats.get(bad[bad.index(b"\r\n") :]) is None
