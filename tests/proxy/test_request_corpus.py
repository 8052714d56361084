"""The corpus, client's side: each case over a real connection, whole and byte by byte, with a request in its wake."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from corpus.http.notation import Case, get
from corpus.http.reference import whole
from corpus.http.requests import CASES
from rigs.wire import Client, Wire, wire

WAKE = get(target=b"/wake", host=b"Host: wake")
WAKE_SEEN = b"GET /wake HTTP/1.1\r\n\r\n"

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway() -> AsyncIterator[Wire]:
    async with wire() as gateway:
        yield gateway


async def answered(client: Client, seen: tuple[bytes, ...]) -> None:
    """One answer of the service for each request, in order."""
    for number, request in enumerate(seen, 1):
        answer = await client.answer(head_only=request.startswith(b"HEAD "))
        assert answer.startswith(b"HTTP/1.1 200 "), answer
        assert answer.endswith(b"\r\n\r\n" if request.startswith(b"HEAD ") else b"%03d" % number), answer


async def play(gateway: Wire, case: Case, pieces: int) -> None:
    await gateway.clear()
    seen = case.seen if case.ends else (*case.seen, WAKE_SEEN)
    async with gateway.client() as client:
        await client.send(case.sent + WAKE, pieces)
        await answered(client, seen)
        if case.status is not None:
            refusal = await client.answer(head_only=case.sent.startswith(b"HEAD "))
            assert refusal.startswith(b"HTTP/1.1 %d " % case.status), refusal
            assert b"\r\nconnection: close\r\n" in refusal
        if case.ends:
            assert await client.rest() == b""
    await gateway.settle()
    assert gateway.recorder.seen() == seen


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_a_service_gets_exactly_this(gateway: Wire, case: Case) -> None:
    await play(gateway, case, 0)
    await play(gateway, case, 1 if len(case.sent) < 2000 else 4999)


CUT = [
    "framing: a length",
    "chunks: many trailers",
    "fields: a value of whitespace",
    "hops: h2c on a POST with a length",
    "hops: Expect and chunks",
    "sequences: length then chunks",
]


@pytest.mark.parametrize("case", [CASES[name] for name in CUT], ids=CUT)
async def test_a_client_that_leaves_anywhere_has_sent_no_more_than_it_has(gateway: Wire, case: Case) -> None:
    for size in range(len(case.sent) + 1):
        await gateway.clear()
        async with gateway.client() as client:
            await client.send(case.sent[:size], 0)
            await asyncio.sleep(0.001)
        await gateway.settle()
        found, _ = whole(case.sent[:size])
        seen = gateway.recorder.seen()
        assert seen == case.seen[: len(found)][: len(seen)]
