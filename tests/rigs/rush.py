"""Much traffic at little cost: raw connections, one request at a time on each, and an upstream that answers at once."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from types import TracebackType

from rigs.gateway import Gateway
from rigs.lateness import Lateness

TICK = 0.005  # seconds between looks at whether a paced request is due
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Service(asyncio.Protocol):
    """An upstream's end of a connection; bodies of requests are not for it."""

    def __init__(self) -> None:
        self._transport: asyncio.WriteTransport | None = None
        self._read = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._read += data
        heads = self._read.count(b"\r\n\r\n")
        if heads:
            self._read = self._read.rpartition(b"\r\n\r\n")[2]
            assert self._transport is not None
            self._transport.write(ANSWER * heads)


@asynccontextmanager
async def service() -> AsyncIterator[str]:
    """One at a port of its own; gives its URL."""
    server = await asyncio.get_running_loop().create_server(Service, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


class Rush:
    """Requests to several gateways in turn: so many (None: until the end of the block), at `rate` a second together.

    `statuses` counts the answers, `problems` the codes of those that are not 200; `waits` are the seconds that each
    answer took, beside the `lateness` of this process. What a gateway that was killed did not answer is `lost`.
    """

    def __init__(
        self,
        gateways: Sequence[Gateway],
        token: str,
        requests: int | None = None,
        *,
        connections: int = 48,
        rate: float | None = None,
    ) -> None:
        self.statuses: Counter[int] = Counter()
        self.problems: Counter[str] = Counter()
        self.waits: list[float] = []
        self.lost = 0
        self.lateness = Lateness()
        self._left = requests
        self._rate = rate
        self._places = [(gateways[number % len(gateways)], token) for number in range(connections)]
        self._clients: list[Client] = []
        self._idle: list[Client] = []
        self._ended = asyncio.Event()
        self._pacing: asyncio.Task[None] | None = None

    @property
    def admitted(self) -> int:
        return self.statuses[200]

    async def __aenter__(self) -> Rush:
        loop = asyncio.get_running_loop()
        for gateway, token in self._places:
            host, _, port = gateway.listen.partition(":")
            head = gateway.head(token)
            _, client = await loop.create_connection(lambda head=head: Client(self, head), host, int(port))
            self._clients.append(client)
        self._idle = list(self._clients)
        await self.lateness.__aenter__()
        if self._rate is not None:
            self._pacing = asyncio.create_task(self._pace(self._rate))
        else:
            self._send(len(self._idle))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._left is None:
            self._left = 0
        self._check_end()
        if kind is None:
            async with asyncio.timeout(60):
                await self._ended.wait()
        await self.lateness.__aexit__()
        if self._pacing is not None:
            self._pacing.cancel()
        for client in self._clients:
            client.close()

    async def end(self) -> Rush:
        """All of them, to the last answer."""
        async with self:
            pass
        return self

    def answered(self, client: Client, status: int, code: str, seconds: float) -> None:
        self.statuses[status] += 1
        if code:
            self.problems[code] += 1
        self.waits.append(seconds)
        self._idle.append(client)
        if self._rate is None:
            self._send(1)
        self._check_end()

    def gone(self, client: Client, unanswered: bool) -> None:
        """A connection has ended; the others go on."""
        self.lost += unanswered
        self._clients.remove(client)
        if client in self._idle:
            self._idle.remove(client)
        self._check_end()

    def _send(self, most: int) -> int:
        sent = 0
        while sent < most and self._idle and self._left != 0:
            if self._left is not None:
                self._left -= 1
            self._idle.pop(0).ask()
            sent += 1
        return sent

    async def _pace(self, rate: float) -> None:
        began, sent = time.monotonic(), 0
        while self._left != 0:
            due = int((time.monotonic() - began) * rate) - sent
            sent += due if self._send(due) == due else 0
            if due > rate:  # those who wait do not come all at once
                began, sent = time.monotonic(), 0
            await asyncio.sleep(TICK)
        self._check_end()

    def _check_end(self) -> None:
        if self._left == 0 and len(self._idle) == len(self._clients):
            self._ended.set()

    def told(self, what: str, limit: int) -> str:
        """A line for people."""
        waits = sorted(self.waits) or [0.0]
        p99 = waits[len(waits) * 99 // 100 if len(waits) > 1 else 0]
        return (
            f"\n{what}: admitted {self.admitted} of {limit}; {dict(self.statuses)} {dict(self.problems)}, {self.lost} "
            f"unanswered; wait: median {waits[len(waits) // 2] * 1000:.1f} ms, p99 {p99 * 1000:.1f} ms, "
            f"longest {waits[-1] * 1000:.1f} ms; here up to {self.lateness.most * 1000:.1f} ms late"
        )


class Client(asyncio.Protocol):
    """A connection of a Rush."""

    def __init__(self, rush: Rush, head: bytes) -> None:
        self._rush = rush
        self._head = head
        self._read = b""
        self._asked = 0.0
        self._waits = False
        self._closing = False
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def ask(self) -> None:
        assert self._transport is not None
        self._asked, self._waits = time.monotonic(), True
        self._transport.write(self._head)

    def close(self) -> None:
        self._closing = True
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        self._read += data
        head, found, body = self._read.partition(b"\r\n\r\n")
        if not found:
            return
        length = int(head.lower().partition(b"\r\ncontent-length: ")[2].partition(b"\r")[0])
        if len(body) < length:
            return
        self._read, self._waits = b"", False
        code = body.partition(b'"code":"')[2].partition(b'"')[0].decode() if head[9:12] != b"200" else ""
        self._rush.answered(self, int(head[9:12]), code, time.monotonic() - self._asked)

    def connection_lost(self, error: Exception | None) -> None:
        if not self._closing:
            self._rush.gone(self, self._waits)
