"""Bytes on the wire: a service that records each request as it arrives, and a client that sends what it is told."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from corpus.http.reference import Request, first
from rigs.proxy import Proxy, proxy_before, read_answer

from gateway.proxy.server import ClientTimeouts

OWN = {  # the fields that the gateway writes, each exactly once, and the values that are known
    b"host": None,
    b"x-forwarded-for": b"127.0.0.1",
    b"x-forwarded-proto": b"http",
    b"x-forwarded-host": None,
    b"forwarded": None,
    b"x-request-id": None,
    b"traceparent": None,
    b"x-application-id": b"mobile",
    b"x-plan": b"gold",
    b"x-subject": None,
}
VIA = b"via: 1.1 gateway"  # behind those of proxies before it


class Recorder:
    """A service that answers each request with its number and judges the bytes by the grammar alone."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.rests: dict[asyncio.StreamWriter, bytes] = {}  # what each open connection sent after its last request
        self.unfinished: list[bytes] = []  # what a connection ended with, in the middle of a request

    def forget(self) -> None:
        self.requests.clear()
        self.unfinished.clear()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.rests[writer] = b""
        try:
            while data := await reader.read(65536):
                self.rests[writer] += data
                self._take(writer)
        finally:
            writer.close()
            rest = self.rests.pop(writer)
            if rest:
                self.unfinished.append(rest)

    def _take(self, writer: asyncio.StreamWriter) -> None:
        while True:
            request, self.rests[writer] = first(self.rests[writer])
            if request is None:
                return
            self.requests.append(request)
            body = b"" if request.method == b"HEAD" else b"%03d" % len(self.requests)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n" + body)

    def seen(self) -> tuple[bytes, ...]:
        """The requests, without the gateway's own fields (which must be there), in the corpus' notation."""
        return tuple(map(without_own, self.requests))


def without_own(request: Request) -> bytes:
    for name, value in OWN.items():
        values = request.values(name)
        assert len(values) == 1, (name, request)
        assert value in (None, values[0]), (name, request)
        assert values[0] != b"forged", (name, request)
    lines = [b"%b: %b" % field for field in request.fields if field[0] not in OWN]
    lines.remove(VIA)
    body = request.body
    if request.is_chunked:
        body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if body else b"0\r\n\r\n"
    start = b"%b %b HTTP/1.%b" % (request.method, request.target, request.minor)
    return b"\r\n".join((start, *lines, b"", body))


class Wire:
    """A gateway that lives through many cases, and its recorder."""

    def __init__(self, proxy: Proxy, recorder: Recorder) -> None:
        self.proxy = proxy
        self.recorder = recorder

    async def settle(self) -> None:
        """Waits until no client is connected and no request is under way."""
        async with asyncio.timeout(5):
            while self.proxy.server.connections or self.proxy.pool.counts()[0] != self.proxy.pool.counts()[1]:
                await asyncio.sleep(0.001)

    async def clear(self) -> None:
        """A clean slate for the next case."""
        await self.settle()
        self.recorder.forget()
        self.proxy.records.clear()

    def client(self) -> AbstractAsyncContextManager[Client]:
        return connected(socket.create_connection(("127.0.0.1", self.proxy.port)))


@asynccontextmanager
async def connected(sock: socket.socket) -> AsyncIterator[Client]:
    """A client over a socket to the gateway, which is closed at the end."""
    with sock:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client = Client(sock)
        reading = asyncio.create_task(client.read_on())
        try:
            yield client
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)


class Client:
    """A raw connection to the gateway, which reads what there is even where it can no longer write."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.reader = asyncio.StreamReader()

    async def read_on(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while data := await loop.sock_recv(self.sock, 65536):
                self.reader.feed_data(data)
        except ConnectionResetError:
            pass
        self.reader.feed_eof()

    async def send(self, data: bytes, pieces: int) -> None:
        """`data` in pieces of that many bytes, each of which the gateway reads for itself; 0: all at once."""
        loop = asyncio.get_running_loop()
        size = pieces or len(data) or 1
        try:
            for start in range(0, len(data), size):
                await loop.sock_sendall(self.sock, data[start : start + size])
                await asyncio.sleep(0)
        except ConnectionError:
            pass  # the gateway has closed: what it said before counts

    async def answer(self, *, head_only: bool = False) -> bytes:
        """One final answer; interim ones before it are passed over."""
        while (answer := await read_answer(self.reader, head_only=head_only)).startswith(b"HTTP/1.1 1"):
            pass
        return answer

    async def rest(self) -> bytes:
        """What comes until the gateway closes."""
        return await asyncio.wait_for(self.reader.read(), 5)


@asynccontextmanager
async def wire(timeouts: ClientTimeouts | None = None) -> AsyncIterator[Wire]:
    recorder = Recorder()
    async with proxy_before(recorder, timeouts=timeouts) as proxy:
        yield Wire(proxy, recorder)
