"""The corpus, service's side: each answer whole and byte by byte, and the next request gets what is its own."""

from __future__ import annotations

import asyncio
import re
import socket
import struct
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from corpus.http.answers import CASES
from corpus.http.notation import Answer, get
from corpus.http.reference import FIELD, chunks, first
from rigs.proxy import proxy_before
from rigs.wire import Client, Recorder, Wire

CLEAN = Answer("", b"", b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nclean", "", request=get(target=b"/clean"))
ANSWER = re.compile(rb"HTTP/1\.1 (\d{3} [ -~]*)\r\n((?:%b)*)\r\n" % FIELD)
NAMES = {b"date", b"via", b"x-request-id"}  # the gateway's own
OWN = tuple(name + b":" for name in NAMES)
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


def received(data: bytes, *, head_only: bool) -> tuple[bytes, bool]:
    """What a client got, in the corpus' notation, and whether it is whole."""
    got = b""
    while (head := ANSWER.match(data)) is not None:
        fields = [line for line in head[2].split(b"\r\n")[:-1] if not line.startswith(OWN)]
        got += b"\r\n".join((b"HTTP/1.1 " + head[1], *fields, b"", b""))
        data = data[head.end() :]
        if not head[1].startswith(b"1"):
            own = {line.partition(b":")[0] for line in head[2].split(b"\r\n") if line.startswith(OWN)}
            assert own == NAMES or (own == NAMES - {b"via"} and head[1].startswith(b"502 "))
            return body_of(got, fields, data, bodyless=head_only or head[1][:3] in (b"204", b"304"))
    return got + data, False


def body_of(got: bytes, fields: list[bytes], data: bytes, *, bodyless: bool) -> tuple[bytes, bool]:
    length = next((int(field[16:]) for field in fields if field.startswith(b"content-length: ")), None)
    if bodyless:
        return got + data, True
    if b"transfer-encoding: chunked" in fields:
        body, rest = chunks(data)
        if body is None:
            body, _ = chunks(data + b"0\r\n\r\n")
            return got + (b"%x\r\n%b\r\n" % (len(body), body) if body else b""), False
        return got + (b"%x\r\n%b\r\n" % (len(body), body) if body else b"") + b"0\r\n\r\n" + rest, True
    return got + data, length is not None and len(data) >= length


async def answer_to(client: Client, case: Answer) -> tuple[bytes, bool]:
    """What comes of the case's request: until it is whole, or the connection ends."""
    await client.send(case.request, 0)
    data = b""
    while True:
        more = await asyncio.wait_for(client.reader.read(65536), 5)
        data += more
        got, whole = received(data, head_only=case.request.startswith(b"HEAD "))
        if whole or not more:
            return got, whole


def judge(case: Answer, got: bytes, *, whole: bool) -> None:
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
        got, whole = await answer_to(client, case)
        judge(case, got, whole=whole)
        service.later.set()
        await service.played.wait()
        await asyncio.sleep(0.002)
    async with gateway.client() as client:
        got, whole = await answer_to(client, CLEAN)
        assert (got, whole) == (CLEAN.got, True)
    assert (service.served[0] == service.served[-1]) is case.reused
    assert len(service.served) == 2


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_a_client_gets_the_truth_or_502(gateway: tuple[Wire, Faulty], case: Answer) -> None:
    await play(*gateway, case, 0)
    await play(*gateway, case, 1 if len(case.sent) < 2000 else 4999)
