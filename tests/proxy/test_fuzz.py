"""Mutations of the corpus over one gateway that lives through all of them.

Each example is judged by what holds for any bytes: no more requests than the grammar finds, nothing but whole answers
of known kinds, no error in the log, an end within the clocks, and the next client served. In CI the same few hundred
each time; `FUZZ_SECONDS=300 pytest tests/proxy/test_fuzz.py` goes on with new ones for that long, per test.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from typing import Any, NamedTuple

import hypothesis
import pytest
import uvloop
from corpus.http.answers import CASES as ANSWERS
from corpus.http.notation import get
from corpus.http.reference import whole
from corpus.http.requests import CASES as REQUESTS
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from rigs.answers import received
from rigs.proxy import proxy_before
from rigs.wire import Client, Recorder, Wire, wire

EXAMPLES = 350
SECONDS = float(os.environ.get("FUZZ_SECONDS", "0"))
LATER = 3600.0  # seconds: every clock has run out
STATUSES = {b"200", b"400", b"405", b"408", b"413", b"414", b"417", b"431", b"505"}
PIECES = [
    *(
        b"\r\n",
        b"\n",
        b"\r",
        b"\r\n\r\n",
        b"\0",
        b" ",
        b"\t",
        b":",
        b";",
        b",",
        b"0",
        b"0\r\n\r\n",
        b"\xff",
        b"%2f",
        b"..",
    ),
    *(
        b"GET / HTTP/1.1\r\n",
        b"Host: a\r\n",
        b"Content-Length: 5\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"HTTP/1.0",
        b"HTTP/1.1",
    ),
    *(
        b"Connection: close\r\n",
        b"Connection: upgrade\r\nUpgrade: x\r\n",
        b"Expect: 100-continue\r\n",
        b"5\r\nhello\r\n",
        b"X: 1\r\n",
    ),
    *(
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"Content-Length: 0\r\n\r\n",
    ),
]


class Edit(NamedTuple):
    """At a place (0 to 1 of the whole): drop some bytes, put others there, from elsewhere or new."""

    place: float
    drop: int
    put: bytes | float
    size: int

    def apply(self, data: bytes) -> bytes:
        start = int(self.place * len(data))
        copied = int(self.put * len(data)) if isinstance(self.put, float) else 0
        put = data[copied : copied + self.size] if isinstance(self.put, float) else self.put
        return data[:start] + put + data[start + self.drop :]


places = st.floats(0, 1)
edits = st.builds(
    Edit, places, st.sampled_from([0, 0, 1, 2, 8, 40]), st.sampled_from(PIECES) | places, st.integers(0, 60)
)


def mutated(cases: dict[str, Any], most: int) -> st.SearchStrategy[bytes]:
    """Some cases in a row, edited; from each room of the corpus alike."""
    rooms: dict[str, list[bytes]] = {}
    for name, case in cases.items():
        if len(case.sent) < 1500:
            rooms.setdefault(name.partition(":")[0], []).append(case.sent)
    some = st.one_of([st.sampled_from(samples) for samples in rooms.values()])

    def made(rows: list[bytes], changes: list[Edit]) -> bytes:
        data = b"".join(rows)
        for change in changes:
            data = change.apply(data)
        return data

    return st.builds(made, st.lists(some, min_size=1, max_size=most), st.lists(edits, max_size=4))


class Errors(logging.Handler):
    """What was logged as an error, by the gateway or by the loop."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.seen: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.seen.append(logging.Formatter().format(record))


@pytest.fixture(scope="module", params=[asyncio.SelectorEventLoop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def runner(request: pytest.FixtureRequest) -> Iterator[asyncio.Runner]:
    with asyncio.Runner(loop_factory=request.param) as runner:
        yield runner


@pytest.fixture
def errors() -> Iterator[Errors]:
    errors = Errors()
    logging.getLogger().addHandler(errors)
    yield errors
    logging.getLogger().removeHandler(errors)


def hunt(runner: asyncio.Runner, strategy: st.SearchStrategy[Any], check: Callable[[Any], Awaitable[None]]) -> None:
    """The same examples each time, or others for as long as was asked."""

    def judged(example: Any) -> None:
        runner.run(asyncio.wait_for(check(example), 20))

    ends = time.monotonic() + SECONDS
    while True:
        test = settings(
            max_examples=EXAMPLES,
            deadline=None,
            derandomize=not SECONDS,
            database=None,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
        )(hypothesis.given(strategy)(judged))
        (hypothesis.seed(random.getrandbits(64))(test) if SECONDS else test)()
        if time.monotonic() >= ends:
            return


async def quiet(gateway: Wire, *, whole: bool = True) -> None:
    """Waits until nothing moves any more, and no whole request waits for its answer, if there will be `whole` ones."""
    before, still = (0, 0, 0), 0
    async with asyncio.timeout(5):
        while still < 8:
            await asyncio.sleep(0)
            connections = gateway.proxy.server.connections
            waiting = whole and any(c.current is not None and c.current.complete for c in connections)
            state = (len(gateway.proxy.records), sum(len(c.queue) for c in connections), len(connections))
            before, still = state, still + 1 if state == before and not waiting else 0


async def run_out(gateway: Wire, client: Client) -> bytes:
    """Lets all clocks run out; what the client got in all."""
    async with asyncio.timeout(5):
        while not client.reader.at_eof() and gateway.proxy.server.connections:
            for connection in list(gateway.proxy.server.connections):
                connection.sweep(time.monotonic() + LATER)
            await asyncio.sleep(0.001)
    return await client.rest()


async def served(gateway: Wire) -> None:
    """The next client is answered as ever."""
    async with gateway.client() as client:
        await client.send(get(target=b"/next"), 0)
        answer = await client.answer()
        assert answer.startswith(b"HTTP/1.1 200 "), answer
    await gateway.settle()


def statuses(data: bytes) -> list[bytes]:
    """Of the answers in a row that the data must be; the last may be cut."""
    found: list[bytes] = []
    while data:
        head, end, rest = data.partition(b"\r\n\r\n")
        line, _, fields = head.partition(b"\r\n")
        assert line.startswith(b"HTTP/1.1 ") or not end, data
        found.append(line[9:12])
        length = [int(field[16:]) for field in fields.split(b"\r\n") if field.startswith(b"content-length: ")]
        data = rest[length[0] if length and not rest.startswith(b"HTTP/1.1 ") else 0 :]
    return found


@pytest.mark.timeout(SECONDS + 120)
def test_any_bytes_of_a_client(runner: asyncio.Runner, errors: Errors) -> None:
    async def check(example: tuple[bytes, int]) -> None:
        data, pieces = example
        await gateway.clear()
        async with gateway.client() as client:
            await client.send(data, pieces)
            await quiet(gateway)
            got = await run_out(gateway, client)
        await gateway.settle()
        seen = [(request.method, request.body) for request in gateway.recorder.requests]
        valid = [(request.method, request.body) for request in whole(data)[0]]
        assert seen == valid[: len(seen)]
        finals = [status for status in statuses(got) if status != b"100"]
        assert set(finals) <= STATUSES
        assert finals.count(b"200") <= len(seen)
        assert all(gateway.recorder.seen())  # and each of them is the gateway's own making
        await served(gateway)
        assert errors.seen == []

    async def enter() -> Wire:
        return await stack.enter_async_context(wire())

    stack = AsyncExitStack()
    gateway = runner.run(enter())
    hunt(runner, st.tuples(mutated(REQUESTS, 3), st.sampled_from([0, 0, 1, 3, 17])), check)
    runner.run(stack.aclose())


class Babbler:
    """A service that answers /next as it should, and everything else with whatever it is given."""

    def __init__(self) -> None:
        self.says: tuple[bytes, int, str] = (b"", 0, "")
        self.said = asyncio.Event()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            data, pieces, ending = self.says
            if head.startswith(b"GET /next "):
                data, pieces, ending = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnext", 0, "keep"
            try:
                await self._say(writer, data, pieces or len(data) or 1)
            finally:
                self.said.set()
            if ending != "keep":
                return

    async def _say(self, writer: asyncio.StreamWriter, data: bytes, size: int) -> None:
        for start in range(0, len(data), size):
            if writer.transport.is_closing():
                return
            writer.write(data[start : start + size])
            await asyncio.sleep(0)


@pytest.mark.timeout(SECONDS + 120)
def test_any_bytes_of_a_service(runner: asyncio.Runner, errors: Errors) -> None:
    async def check(example: tuple[bytes, int, str, bytes]) -> None:
        data, pieces, ending, method = example
        service.says = data, pieces, ending
        service.said.clear()
        async with gateway.client() as client:
            await client.send(method + b" / HTTP/1.1\r\nHost: a\r\n\r\n", 0)
            await service.said.wait()
            await quiet(gateway, whole=False)
            got = await run_out(gateway, client)
        rest = received(got, head_only=method == b"HEAD").rest
        assert rest == b""
        assert not got.startswith(b"HTTP/1.1 500 ") or b" 500" in data
        async with gateway.client() as client:
            await client.send(get(target=b"/next"), 0)
            answer = await client.answer()
            assert answer.startswith(b"HTTP/1.1 200 "), answer
            assert answer.endswith(b"\r\n\r\nnext"), answer
        await gateway.settle()
        assert errors.seen == []

    async def enter() -> Wire:
        return Wire(await stack.enter_async_context(proxy_before(service)), Recorder())

    service, stack = Babbler(), AsyncExitStack()
    gateway = runner.run(enter())
    ways = st.sampled_from([0, 0, 1, 7]), st.sampled_from(["keep", "close"]), st.sampled_from([b"GET", b"HEAD"])
    hunt(runner, st.tuples(mutated(ANSWERS, 2), *ways), check)
    runner.run(stack.aclose())
