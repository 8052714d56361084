"""What both doors cost a request, without sockets: `python benchmarks/door.py`. Microseconds of CPU time.

Bytes are fed to a client's connection and to an upstream's, whose transports only collect. Nothing of the kernel's
and of the event loop's work is in the figures.
"""

import asyncio
import socket
import time

from gateway.gate import Admission, Ask, Subscription
from gateway.model import Accept, Application, Identity, Plan, Route, Rule, Service, Target, Upstream
from gateway.proxy.client import ClientConnection
from gateway.proxy.exchange import Exchange
from gateway.proxy.pool import Pool
from gateway.proxy.server import Server
from gateway.proxy.upstream import UpstreamConnection

FIELDS = b"Host: api.example.com\r\nAuthorization: Bearer " + b"x" * 900 + b"\r\nAccept: */*\r\nUser-Agent: bench/1\r\n"
GET = b"GET /orders/7 HTTP/1.1\r\n" + FIELDS + b"\r\n"
OTHER = b"GET /orders/8 HTTP/1.1\r\nX-Other: 1\r\n" + FIELDS + b"\r\n"
POST = b"POST /orders HTTP/1.1\r\n" + FIELDS + b"Content-Length: 512\r\n\r\n" + b"b" * 512
CHUNKS = (
    b"POST /orders HTTP/1.1\r\n" + FIELDS + b"Transfer-Encoding: chunked\r\n\r\n200\r\n" + b"b" * 512 + b"\r\n0\r\n\r\n"
)
OK = b"HTTP/1.1 200 OK\r\nDate: d\r\nContent-Type: application/json\r\nContent-Length: 512\r\n\r\n" + b"a" * 512
ROUNDS = 60
REQUESTS = 2_000


class Sink:
    """A transport that takes everything at once."""

    def __init__(self, sock: socket.socket) -> None:
        self.written = 0
        self._info = {"peername": ("192.0.2.1", 1), "socket": sock}

    def write(self, data: bytes) -> None:
        self.written += len(data)

    def get_extra_info(self, name: str) -> object:
        return self._info.get(name)

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return False

    def can_write_eof(self) -> bool:
        return True

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def close(self) -> None: ...


class OpenGate:
    """Admits everybody at once."""

    def __init__(self, service: Service) -> None:
        self._route = Route(service, {"hits": 1}, "/")
        subscription = Subscription(
            Application(name="a", plans=("p",)), Plan(name="p", services=("s",)), "a", None, None, b""
        )
        self._admission = Admission(self._route, Identity(subject="s"), subscription, None)

    def route(self, _ask: Ask) -> Route:
        return self._route

    def admit(self, _ask: Ask, _route: Route, _done: object) -> Admission:
        return self._admission


class Door:
    """One client's connection before one upstream's."""

    def __init__(self, loop: asyncio.AbstractEventLoop, sock: socket.socket) -> None:
        upstream = Upstream(name="s", targets=(Target(False, "192.0.2.2", 80),))
        rule = Rule(method="ANY", pattern="/", usage={"hits": 1})
        service = Service(name="s", upstream=upstream, accept=(Accept(jwt="k"),), rules=(rule,))
        pool = Pool(upstream, loop)
        self.served = 0
        server = Server(OpenGate(service), {service: pool}, self._record)
        self._upstream = UpstreamConnection(pool, pool._endpoints[0], 0)
        self._upstream.connection_made(Sink(sock))
        pool.release(self._upstream)
        self._client = ClientConnection(server)
        self._client.connection_made(Sink(sock))

    def _record(self, _exchange: Exchange) -> None:
        self.served += 1

    def serve(self, *requests: bytes) -> None:
        for request in requests:
            self._client.data_received(request)
            self._upstream.data_received(OK)


def measure(loop: asyncio.AbstractEventLoop, *requests: bytes) -> float:
    """Of one request on a fresh connection, of which the first are not counted."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        return measure_door(Door(loop, ours), *requests)


def measure_door(door: Door, *requests: bytes) -> float:
    door.serve(*requests * 100)
    begun = time.process_time()
    for _ in range(REQUESTS // len(requests)):
        door.serve(*requests)
    seconds = time.process_time() - begun
    assert door.served == (REQUESTS // len(requests) + 100) * len(requests)
    return seconds / REQUESTS * 1e6


def main() -> None:
    loop = asyncio.new_event_loop()
    cases = {
        "GET, a head that repeats": (GET,),
        "GET, another head each time": (GET, OTHER),
        "POST with a length, 512 bytes": (POST,),
        "POST in chunks, 512 bytes": (CHUNKS,),
    }
    best = dict.fromkeys(cases, float("inf"))
    for _ in range(ROUNDS):  # in turns, because machines vary by the moment
        for name, requests in cases.items():
            best[name] = min(best[name], measure(loop, *requests))
    for name, microseconds in best.items():
        print(f"{name:34}{microseconds:8.2f} µs")
    loop.close()


if __name__ == "__main__":
    main()
