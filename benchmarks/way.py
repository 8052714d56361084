"""What the whole way of a request costs our code, all rooms in it, without sockets and TLS: CPU time in microseconds.

The plans, token and heads are those of `scripts/benchmark levels`; requests go through one client's connection, the
gate, the ledger in memory, one upstream's connection, metrics and access log. Transports only collect.
"""

from __future__ import annotations

import asyncio
import socket
import tempfile
import time
from collections.abc import Iterable
from hashlib import sha256
from itertools import cycle, islice
from pathlib import Path

from door import OK, Sink
from rig.contestants import plangate
from rig.material import Mint, write_certificates

from gateway.config import load
from gateway.identity.cache import Entry
from gateway.model import ClientLimits, Identity
from gateway.proxy.client import ClientConnection
from gateway.proxy.exchange import Exchange
from gateway.proxy.server import Server
from gateway.proxy.upstream import UpstreamConnection
from gateway.quota.memory import MemoryLedger
from gateway.quota.refusals import Refusals
from gateway.site import build_site
from gateway.store.marks import MemoryMarks
from gateway.store.memory_records import MemoryRecords
from gateway.store.shared import Shared
from gateway.telemetry.access_log import AccessLog
from gateway.telemetry.metrics import Metrics

ROUNDS = 500
REQUESTS = 96
LINE = b"GET /api/v1/items?page=%d HTTP/1.1\r\n"
PAGES = 4000  # more than are remembered
FIELDS = (
    b"Host: 127.0.0.1:8080\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) benchmark/1.0\r\nAccept: application/json\r\n"
    b"Accept-Encoding: gzip\r\nX-Request-Id: 0b6f9a3c-4c2e-4d5e-9d1f-0a1b2c3d4e5f\r\nAuthorization: Bearer "
)


class Way:
    """One client's connection before one upstream's, and the rooms between."""

    def __init__(self, folder: Path, tokens: list[bytes], sock: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        words = {"port": "0", "admin_port": "0", "folder": str(folder), "issuer": "http://127.0.0.1:1/realms/bench"}
        words |= {"redis_port": "0", "plain_port": "80", "upstream_port": "443", "applications": str(len(tokens))}
        plangate(folder, words, "local")
        config = load(folder / "plans")
        shared = Shared(MemoryRecords(time.time), MemoryMarks(time.time, lambda _row: None))
        ledger = MemoryLedger(time.time, lambda _alert: None)
        site = build_site(config, ledger, shared, Refusals("gw", _nobody), loop)
        cache = site.passport.provider("bench").cache
        now = time.time()
        for number, token in enumerate(tokens, 1):
            identity = Identity(subject="s", client_id=f"bench-app-{number:04d}", proof=("jwt:bench",))
            cache.put(sha256(token).digest(), Entry(identity, now + 3600, None), now)
        metrics, log = Metrics(), AccessLog(lambda _lines: None, lambda _seconds, _call: None)

        def record(exchange: Exchange) -> None:
            metrics.observe(exchange)
            log.log(exchange)

        limits = ClientLimits(requests=10**9)
        server = Server(site.gate, site.pools, record, limits=limits, pages=site.pages, onward=site.onward)
        (pool,) = set(site.pools.values())
        self.written = Sink(sock)
        self._upstream = UpstreamConnection(pool, pool._endpoints[0], 0)
        self._upstream.connection_made(Sink(sock))
        self._upstream.generation = pool.generation
        pool.release(self._upstream)
        self._client = ClientConnection(server)
        self._client.connection_made(self.written)

    def serve(self, requests: Iterable[bytes]) -> None:
        for request in requests:
            self._client.data_received(request)
            self._upstream.data_received(OK)


async def _nobody(_counts: object) -> None: ...


async def measure(requests: list[bytes], tokens: list[bytes]) -> float:
    ours, theirs = socket.socketpair()
    with tempfile.TemporaryDirectory() as name, ours, theirs:
        write_certificates(Path(name))
        way = Way(Path(name), tokens, ours)
        endless = cycle(requests)
        way.serve(islice(endless, 200))
        best = float("inf")
        for _ in range(ROUNDS):
            before, begun = way.written.written, time.process_time()
            way.serve(islice(endless, REQUESTS))
            spent = time.process_time() - begun
            assert way.written.written - before > 512 * REQUESTS, "refused"
            best = min(best, spent / REQUESTS * 1e6)
    return best


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        mint = Mint(Path(folder), "http://127.0.0.1:1/realms/bench")
        tokens = [mint.token(number).encode() for number in range(1, 17)]
    heads = [FIELDS + token + b"\r\n\r\n" for token in tokens]
    for name, requests in (
        ("one client", [LINE % 2 + heads[0]]),
        ("one client, another target each time", [LINE % page + heads[0] for page in range(PAGES)]),
        ("16 applications by turns on a connection", [LINE % 2 + head for head in heads]),
    ):
        print(f"{name:44}{asyncio.run(measure(requests, tokens)):8.2f} µs", flush=True)


if __name__ == "__main__":
    main()
