"""A proxy under test: a real server on a free port before an upstream that the test scripts byte by byte."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from ipaddress import ip_network

from gateway.errors import GatewayError
from gateway.gate import Admission, Ask, Subscription
from gateway.http.client_certificate import READERS
from gateway.model import (
    Application,
    ClientLimits,
    ClientTimeouts,
    ClientTls,
    Identity,
    Listener,
    Plan,
    Route,
    Rule,
    Service,
    Target,
    Timeouts,
    Upstream,
)
from gateway.proxy.exchange import Exchange
from gateway.proxy.pages import NO_PAGES, Pages
from gateway.proxy.pool import Pool
from gateway.proxy.server import Server
from gateway.proxy.terms import Terms

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class OpenGate:
    """Lets everything in, or raises what the test put in `refusal`; `later` answers by callback."""

    def __init__(self, service: Service) -> None:
        self._route = Route(service, {"hits": 1}, "/")
        self.refusal: GatewayError | None = None
        self.later: list[Callable[[], None]] | None = None
        self.certificates: list[bytes | None] = []  # that clients showed

    def route(self, ask: Ask) -> Route:
        return self._route

    def admit(self, ask: Ask, route: Route, done: Callable[[Admission | GatewayError], None]) -> Admission | None:
        self.certificates.append(ask.certificate)
        if self.refusal is not None and self.later is None:
            raise self.refusal
        plan = Plan(name="gold", services=("echo",))
        application = Application(name="mobile", plans=("gold",))
        note = b"x-application-id: mobile\r\nx-plan: gold\r\nx-subject: s\r\n"
        subscription = Subscription(application, plan, "mobile", None, None, note)
        admission = Admission(route, Identity(subject="s"), subscription, None)
        if self.later is None:
            return admission
        self.later.append(lambda: done(self.refusal or admission))
        return None


@dataclass
class Proxy:
    """What a test sees: where to connect, what was recorded, what the upstream received."""

    port: int
    server: Server
    gate: OpenGate
    pool: Pool
    records: list[Exchange] = field(default_factory=list)
    received: list[bytes] = field(default_factory=list)  # each upstream connection's bytes
    connections: int = 0

    @property
    def target(self) -> Target:
        """The proxy's upstream, for another proxy."""
        return self.pool.upstream.targets[0]

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def talk(self, data: bytes, *, until_close: bool = False) -> bytes:
        """Sends `data` and returns what comes back: until the close, or one answer's worth of silence."""
        reader, writer = await self.connect()
        writer.write(data)
        await writer.drain()
        try:
            if until_close:
                return await asyncio.wait_for(reader.read(), 5)
            return await read_answer(reader)
        finally:
            writer.close()

    async def recorded(self, count: int = 1) -> list[Exchange]:
        """The records, once there are `count`."""
        for _ in range(500):
            if len(self.records) >= count:
                break
            await asyncio.sleep(0.01)
        assert len(self.records) == count
        return self.records


async def read_head(reader: asyncio.StreamReader) -> bytes:
    return await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)


async def read_answer(reader: asyncio.StreamReader, *, head_only: bool = False) -> bytes:
    """One answer with Content-Length or chunked framing, as it came."""
    head = await read_head(reader)
    lines = head.lower().split(b"\r\n")
    length = next((int(line[15:]) for line in lines if line.startswith(b"content-length:")), 0)
    if head_only or lines[0].split()[1].startswith(b"1"):
        return head
    if b"transfer-encoding: chunked" in lines:
        return head + await asyncio.wait_for(reader.readuntil(b"0\r\n\r\n"), 5)
    return head + await asyncio.wait_for(reader.readexactly(length), 5)


def service_at(port: int, **settings: object) -> Service:
    upstream = Upstream(
        name="echo",
        targets=settings.pop("targets", (Target(bool(settings.get("tls")), "127.0.0.1", port),)),
        tls=settings.pop("tls", ClientTls()),
        timeouts=settings.pop("timeouts", Timeouts()),
    )
    settings.setdefault("rules", (Rule(method="ANY", pattern="/", usage={"hits": 1}),))
    return Service(name="echo", upstream=upstream, accept=(), **settings)


@asynccontextmanager
async def proxy_before(
    script: Script,
    *,
    timeouts: ClientTimeouts | None = None,
    limits: ClientLimits | None = None,
    ssl: object = None,
    listener: Listener | None = None,
    trusted: tuple[str, ...] = (),
    told: str | None = None,
    pages: Pages = NO_PAGES,
    **settings: object,
) -> AsyncIterator[Proxy]:
    """A proxy before an upstream that handles each of its connections by `script`; settings are the service's.

    `ssl` is the upstream's, `listener` how clients are taken (its address is not looked at), `trusted` whom to believe,
    `told` in which field of theirs a client's certificate is.
    """
    proxy: Proxy

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        proxy.connections += 1
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await script(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    tasks: set[asyncio.Task[None]] = set()
    upstream = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=ssl)
    service = service_at(upstream.sockets[0].getsockname()[1], **settings)
    pool = Pool(service.upstream, asyncio.get_running_loop())
    gate = OpenGate(service)
    records: list[Exchange] = []
    server = Server(gate, {service: pool}, records.append, timeouts, limits, pages)
    server.receive([Terms(listener)], tuple(map(ip_network, trusted)), None if told is None else READERS[told])
    sock = socket.create_server(("127.0.0.1", 0))
    proxy = Proxy(sock.getsockname()[1], server, gate, pool, records)
    await server.listen(sock)
    try:
        yield proxy
    finally:
        await server.drain(0.1, grace=0)
        upstream.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        while pool.counts()[0] or server.connections:
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.005)  # the loop lets go of its handles


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """An upstream that answers each request with the bytes that it got: head, and body by Content-Length or chunks."""
    while True:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next((int(line[16:]) for line in head.split(b"\r\n") if line.startswith(b"content-length: ")), 0)
        body = await reader.readexactly(length)
        if b"transfer-encoding: chunked" in head:
            body = await reader.readuntil(b"0\r\n\r\n")
        seen = head + body
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(seen))
        writer.write(b"" if head.startswith(b"HEAD ") else seen)


def answering(answer: bytes, *, then_close: bool = False) -> Script:
    """An upstream that answers every request with the same bytes."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError):  # the gateway has gone
            while not writer.is_closing():
                await reader.readuntil(b"\r\n\r\n")
                writer.write(answer)
                await writer.drain()
                if then_close:
                    break
        writer.close()

    return script
