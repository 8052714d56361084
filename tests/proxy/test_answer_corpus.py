"""The corpus, service's side: each answer whole and byte by byte, and the next request gets what is its own."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from corpus.http.answers import CASES
from corpus.http.notation import Answer, get
from corpus.http.reference import first
from rigs.answers import Received, received
from rigs.proxy import proxy_before
from rigs.wire import Client, Recorder, Wire

CLEAN = Answer("", b"", b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nclean", "", request=get(target=b"/clean"))
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: close by RST

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway() -> AsyncIterator[tuple[Wire, Faulty]]:
    service = Faulty()
    async with proxy_before(service) as proxy:
        yield Wire(proxy, Recorder()), service


class Faulty:
    """A service that answers /clean as it should, and everything else with the case's bytes."""

    def __init__(self) -> None:
        self.case = Answer("", b"", b"", "")
        self.pieces = 0
        self.serial = 0
        self.served: list[int] = []  # which connection served each request
        self.played = asyncio.Event()
        self.later = asyncio.Event()

    def prepare(self, case: Answer, pieces: int) -> None:
        self.case, self.pieces = case, pieces
        self.served.clear()
        self.played.clear()
        self.later.clear()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.serial += 1
        serial, data = self.serial, b""
        writer.transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while more := await reader.read(65536):
            data += more
            request, data = first(data)
            if request is not None and request.target == b"/clean":
                self.served.append(serial)
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nclean")
            elif request is not None or b"content-length: 9\r\n" in data:  # whole, or half of it
                self.served.append(serial)
                data = b""
                await self._play(writer)

    async def _play(self, writer: asyncio.StreamWriter) -> None:
        try:
            await self._say(writer)
        finally:
            self.played.set()

    async def _say(self, writer: asyncio.StreamWriter) -> None:
        case, size = self.case, self.pieces or max(len(self.case.sent), 1)
        for start in range(0, len(case.sent), size):
            writer.write(case.sent[start : start + size])
            await writer.drain()
            await asyncio.sleep(0)
        if case.ending == "close":
            writer.close()
        elif case.ending == "shut":
            writer.write_eof()
        elif case.ending == "reset":
            writer.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            writer.transport.abort()
        if case.later:
            await self.later.wait()
            writer.write(case.later)
            await writer.drain()


async def answer_to(client: Client, case: Answer) -> Received:
    """What comes of the case's request: until it is whole, or the connection ends."""
    await client.send(case.request, 0)
    data = b""
    while True:
        more = await asyncio.wait_for(client.reader.read(65536), 5)
        data += more
        answer = received(data, head_only=case.request.startswith(b"HEAD "))
        if answer.whole or not more:
            return answer


def judge(case: Answer, answer: Received) -> None:
    got, whole, rest = answer
    assert rest == b""
    if got.startswith(b"HTTP/1.1 502 ") and (case.cut or case.got == 502):  # a cut may be foreseen
        assert b'"code":"upstream_broken"' in got or case.request.startswith(b"HEAD ")
    else:
        assert got == case.got
        until_close = b"content-length" not in got and b"chunked" not in got
        assert whole is not (case.cut or (until_close and b"connection: close" in got))


async def play(gateway: Wire, service: Faulty, case: Answer, pieces: int) -> None:
    gateway.proxy.pool._close_idle()
    service.prepare(case, pieces)
    async with gateway.client() as client:
        judge(case, await answer_to(client, case))
        service.later.set()
        await service.played.wait()
        await asyncio.sleep(0.002)
    async with gateway.client() as client:
        assert await answer_to(client, CLEAN) == (CLEAN.got, True, b"")
    assert (service.served[0] == service.served[-1]) is case.reused
    assert len(service.served) == 2


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_a_client_gets_the_truth_or_502(gateway: tuple[Wire, Faulty], case: Answer) -> None:
    await play(*gateway, case, 0)
    await play(*gateway, case, 1 if len(case.sent) < 2000 else 4999)
