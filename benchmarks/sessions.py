"""What a session in a browser costs a request, beside a bearer token: `python benchmarks/sessions.py`. Microseconds of
CPU time, the best of many rounds.

The whole way of a request through the gateway's code, as a worker composes it: both doors, passport, gate, ledger.
Bytes are fed to a client's connection and to a service's, whose transports only collect, so that nothing of the
kernel's work is in the figures, which would make the two more alike. Every request has the fields that a browser sends.
"""

import asyncio
import socket
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from gateway.config import load
from gateway.devkit.keys import KeyRing
from gateway.devkit.provider import WEB, Client, Provider
from gateway.devkit.provider_app import provider_app
from gateway.devkit.servers import listener, port_of, serving
from gateway.model import Service
from gateway.proxy.client import ClientConnection
from gateway.proxy.exchange import Exchange
from gateway.proxy.server import Server
from gateway.proxy.terms import Terms
from gateway.proxy.upstream import UpstreamConnection
from gateway.quota.memory import MemoryLedger
from gateway.quota.refusals import Refusals
from gateway.site import Site, build_site
from gateway.sso.session import SignedIn
from gateway.sso.sessions import Sessions
from gateway.store.marks import MemoryMarks
from gateway.store.memory_records import MemoryRecords
from gateway.store.shared import Shared

ROUNDS = 150
REQUESTS = 400  # few, so that some round falls into a quiet moment
PLANS = """
identity:
  keycloak:
    oidc:
      issuer: "${ISSUER}"
      audience: gateway
      sign_in: {client_id: gateway-web, client_secret: secret}
gateway: {store: memory}
services:
  shop:
    path: /
    upstream: {targets: ["http://127.0.0.1:9"]}
    accept: [ACCEPT]
    rules: [GET /: hits]
plans:
  staff: {services: [shop], limits: {hits: [{limit: 1000000000/year, per: user}, 1000000000/year]}}
applications:
  website: {plans: [staff], client_ids: [gateway-web]}
"""
BROWSER = (
    "Host: localhost:8080\r\nConnection: keep-alive\r\nAccept: application/json\r\n"
    "Accept-Encoding: gzip, deflate, br\r\n"
    "Accept-Language: en-GB,en;q=0.9\r\nReferer: http://localhost:8080/\r\nSec-Fetch-Dest: empty\r\n"
    "Sec-Fetch-Mode: cors\r\nSec-Fetch-Site: same-origin\r\n"
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/142.0.0.0 Safari/537.36\r\n"
)
OK = b"HTTP/1.1 200 OK\r\nDate: d\r\nContent-Type: application/json\r\nContent-Length: 512\r\n\r\n" + b"a" * 512


class Sink:
    """A transport that takes everything at once."""

    def __init__(self, sock: socket.socket) -> None:
        self.written = b""
        self._info = {"peername": ("192.0.2.1", 1), "socket": sock}

    def write(self, data: bytes) -> None:
        self.written = data

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


class Doors:
    """A client's connection, and the service's."""

    def __init__(self, site: Site, service: Service, sock: socket.socket) -> None:
        self.served: list[Exchange] = []
        pool = site.pools[service]
        server = Server(site.gate, site.pools, self.served.append, pages=site.pages)
        server.receive([Terms(None)], ())
        server.limits = replace(server.limits, requests=1_000_000_000)  # of one connection
        self._upstream = UpstreamConnection(pool, pool._endpoints[0], 0)
        self._upstream.connection_made(Sink(sock))
        pool.release(self._upstream)
        self.sink = Sink(sock)
        self._client = ClientConnection(server)
        self._client.connection_made(self.sink)

    async def first(self, request: bytes) -> None:
        """A token is verified, a session looked up: that takes a turn of the loop or two."""
        self.sink.written = b""
        self._client.data_received(request)
        while not self._upstream.exchange and not self.sink.written:
            await asyncio.sleep(0.001)
        self._upstream.data_received(OK)
        assert self.sink.written.startswith(b"HTTP/1.1 200"), self.sink.written

    def measure(self, requests: tuple[bytes, ...]) -> float:
        self.served.clear()
        begun = time.process_time()
        for _ in range(REQUESTS // len(requests)):
            for request in requests:
                self._client.data_received(request)
                self._upstream.data_received(OK)
        seconds = time.process_time() - begun
        assert [exchange.status for exchange in self.served] == [200] * REQUESTS
        return seconds / REQUESTS * 1e6


def get(field: str) -> bytes:
    return f"GET /orders/7 HTTP/1.1\r\n{BROWSER}{field}\r\n\r\n".encode()


async def cases(stack: AsyncExitStack, accept: str) -> tuple[Doors, Mapping[str, tuple[bytes, ...]]]:
    """The doors of a service that accepts this, and what knocks."""
    now = time.time()
    sock = listener()
    issuer = f"http://127.0.0.1:{port_of(sock)}/realms/demo"
    provider = Provider(issuer, [Client(id=WEB)], lambda: now, KeyRing())
    await stack.enter_async_context(serving(provider_app(provider), sock))
    folder = Path(stack.enter_context(TemporaryDirectory()))
    (folder / "plans.yaml").write_text(PLANS.replace("ACCEPT", accept))
    config = load(folder, {"ISSUER": issuer})
    shared = Shared(MemoryRecords(lambda: now), MemoryMarks(lambda: now, lambda _row: None))
    ledger = MemoryLedger(lambda: now, lambda _alert: None)
    loop = asyncio.get_running_loop()
    site = build_site(config, ledger, shared, Refusals("gw", unheard), loop, clock=lambda: now)
    await site.passport.start()
    stack.push_async_callback(site.passport.close)
    ours, theirs = socket.socketpair()
    stack.callback(ours.close)
    stack.callback(theirs.close)
    doors = Doors(site, config.services["shop"], ours)
    sessions = Sessions(shared.records, shared.marks, config.sign_on, lambda: now)
    names = [f"person-{number}" for number in range(8)]
    who = [SignedIn(provider="keycloak", subject=name, issuer=issuer, client_id=WEB) for name in names]
    cookies = [get(f"Cookie: plangate={(await sessions.begin(each)).secret}") for each in who]
    tokens = [get(f"Authorization: Bearer {provider.token(WEB, sub=name)}") for name in names]
    found = {"bearer token": tokens, "session": cookies}
    return doors, {name: tuple(requests) for name, requests in found.items() if name.split()[0] in KINDS[accept]}


async def unheard(_counts: Mapping[str, int]) -> None:
    """Nobody counts refusals here."""


KINDS = {
    "{jwt: keycloak}": ("bearer",),
    "{sign_in: keycloak}": ("session",),
    "{jwt: keycloak}, {sign_in: keycloak}": ("bearer", "session"),
}


async def main() -> None:
    async with AsyncExitStack() as stack:
        found: dict[tuple[str, str, bool], list[float]] = {}
        rooms = {accept: await cases(stack, accept) for accept in KINDS}
        for doors, requests in rooms.values():
            for request in (one for some in requests.values() for one in some):
                await doors.first(request)
        for _ in range(ROUNDS):  # in turns, because machines vary by the moment
            for accept, (doors, requests) in rooms.items():
                for name, some in requests.items():
                    for among in (some[:1], some):
                        found.setdefault((accept, name, len(among) > 1), []).append(doors.measure(among))
    for several in (False, True):
        print("eight people in turn on a connection" if several else "one person on a connection")
        pairs = [("bearer token", "{jwt: keycloak}"), ("session", "{sign_in: keycloak}")]
        tell(" each at a service that accepts nothing else", [found[accept, name, several] for name, accept in pairs])
        both = "{jwt: keycloak}, {sign_in: keycloak}"
        tell(" at a service that accepts both", [found[both, name, several] for name, _ in pairs])


def tell(what: str, found: list[list[float]]) -> None:
    """The best of all rounds, and how the two compare in the same round (the median), which a busy machine changes
    less."""
    bearer, session = found
    ratio = median(s / b for b, s in zip(bearer, session, strict=True))
    print(f"{what:46} bearer {min(bearer):6.2f} µs, session {min(session):6.2f} µs; in a round {ratio:.2f} ×")


if __name__ == "__main__":
    asyncio.run(main())
