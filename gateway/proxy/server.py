"""What a worker's connections share: the gate, the pools, the clocks, and the stop."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from math import ceil, inf
from types import MappingProxyType

from gateway.errors import GatewayError
from gateway.http.client_certificate import Reader
from gateway.http.peer import Network, is_among
from gateway.model import ClientLimits, ClientTimeouts
from gateway.proxy.arrival import Arrival
from gateway.proxy.backend import Admitting, Backend, Way
from gateway.proxy.client import ClientConnection
from gateway.proxy.crowd import Crowd
from gateway.proxy.exchange import Exchange
from gateway.proxy.greeting import Greeting
from gateway.proxy.kernel import bound_sending
from gateway.proxy.memory import Relief
from gateway.proxy.pages import NO_PAGES, Pages
from gateway.proxy.pool import Pool
from gateway.proxy.repeats import Repeats
from gateway.proxy.terms import PLAIN, Terms
from gateway.proxy.wire import protocol

SWEEP = 0.25  # seconds between looks at the clocks; up to a second where there are ten thousand
LOOK = 1.0  # seconds between looks at all else
AT_ONCE = 100  # connections that are looked at in one go
GO = 0.0001  # seconds after which it ends early: to cut some takes as long as to look at many
BETWEEN = 0.001  # seconds from such a go to the next at least
PACE = 0.01  # seconds from a whole go to the next at least
GRACE = 0.2  # seconds a draining worker still answers on idle connections: a request may be on its way
TICK = 0.02  # seconds between looks at what is still in flight
NONE_BEFORE: Mapping[Way, Backend] = MappingProxyType({})


class Server:
    """`swap` replaces gate, pools and pages while it serves; each request uses those of its start."""

    def __init__(
        self,
        gate: Admitting,
        pools: Mapping[Way, Pool],
        record: Callable[[Exchange], None],
        timeouts: ClientTimeouts | None = None,
        limits: ClientLimits | None = None,
        pages: Pages = NO_PAGES,
        onward: Mapping[Way, Backend] = NONE_BEFORE,
    ) -> None:
        """`record` gets each exchange once, after its last byte, also on failure. `onward` stands before some pools."""
        self.gate = gate
        self.pools: Mapping[Way, Backend] = {**pools, **pages.backends}
        self.backends = {**self.pools, **onward}
        self.pages = pages
        self.record = record
        self.timeouts = timeouts or ClientTimeouts()
        self.limits = limits or ClientLimits()
        self._memory_is_high: Callable[[], bool] = bool
        self.shedding = False  # requests are refused for want of memory
        self._relief = Relief()
        self.crowd = Crowd()
        self.repeats = Repeats()
        self._terms: Sequence[Terms] = (PLAIN,)  # of the listeners
        self._trusted: tuple[Network, ...] = ()  # proxies, which speak for others
        self.told: tuple[bytes, Reader] | None = None
        self.slow_readers = 0  # that were cut
        self.connections: set[Arrival | Greeting] = set()
        self.draining = False
        self._listeners: dict[socket.socket, asyncio.Server] = {}
        self._sweeping: asyncio.TimerHandle | None = None
        self._looked = 0.0  # when at pools, files and memory; monotonic
        self._due: list[Arrival | Greeting] = []  # those that are yet to be looked at
        self._pools_due: list[Backend] = []
        self._pause = SWEEP
        self._deadline = inf  # of the stop

    async def listen(self, sock: socket.socket, listener: int = 0) -> None:
        """Serves on a bound socket, which it closes at the stop. `listener` is the place of its terms."""
        bound_sending(sock)
        loop = asyncio.get_running_loop()
        self._listeners[sock] = await loop.create_server(lambda: self._accept(listener), sock=sock, backlog=4096)
        if self._sweeping is None:
            self._sweep()

    def _accept(self, listener: int) -> asyncio.Protocol:
        terms = self._terms[listener]
        return Greeting(self, terms) if terms.greets else protocol(ClientConnection(self, terms))

    def leave(self, sock: socket.socket) -> None:
        """Takes no more connections from it, and closes it; those that are open go on."""
        self._listeners.pop(sock).close()

    def swap(
        self,
        gate: Admitting,
        pools: Mapping[Way, Pool],
        pages: Pages = NO_PAGES,
        onward: Mapping[Way, Backend] = NONE_BEFORE,
    ) -> None:
        """For all requests from now on. Pools that are not among the new ones keep no connection."""
        left = set(self.pools.values()).difference(pools.values())
        self.gate, self.pools, self.pages = gate, {**pools, **pages.backends}, pages
        self.backends = {**self.pools, **onward}
        for pool in left:
            pool.close()

    def bound(self, limits: ClientLimits, timeouts: ClientTimeouts, memory_is_high: Callable[[], bool]) -> None:
        """What clients may take from now on. Memory is looked at every second."""
        self.limits, self.timeouts, self._memory_is_high = limits, timeouts, memory_is_high
        self.repeats.clear()

    def receive(
        self, terms: Sequence[Terms], trusted: tuple[Network, ...], told: tuple[bytes, Reader] | None = None
    ) -> None:
        """On what terms listeners take connections from now on, which peers are trusted proxies, and in which field
        these tell of their client's certificate."""
        self._terms, self._trusted, self.told = terms, trusted, told

    def trusts(self, peer: str) -> bool:
        """Whether it is a proxy that speaks for others."""
        return is_among(peer, self._trusted)

    def enter(self, client: str, peer: str) -> GatewayError | None:
        """Makes room for a connection, or says why there is none."""
        return self.crowd.enter(client, self.limits, trusted=self.trusts(peer))

    def refused_connections(self) -> dict[str, int]:
        """Connections that a limit refused or cut, by reason, since the start; `unanswered` are among the refused."""
        return {**self.crowd.refused, "slow_reader": self.slow_readers}

    def _sweep(self) -> None:
        """Some of the connections at a time: a look at ten thousand in one go would hold traffic up for 20 ms."""
        if not self._due and not self._pools_due:
            self._begin_round()
        now = time.monotonic()
        looked = 0
        while self._due and looked < AT_ONCE and time.monotonic() - now <= GO:
            self._due.pop().sweep(now)
            looked += 1
        pools = self._pools_due[-AT_ONCE:]
        del self._pools_due[-AT_ONCE:]
        for pool in pools:
            pool.sweep(now)
            pool.reload_certificates()
        share = looked / AT_ONCE if self._due else 1.0  # a round takes as long, however many goes it is
        self._sweeping = asyncio.get_running_loop().call_later(max(BETWEEN, self._pause * share), self._sweep)

    def _begin_round(self) -> None:
        """One takes SWEEP, or longer; now and then it looks at more than clients."""
        self._due = list(self.connections)
        now = time.monotonic()
        if now - self._looked >= LOOK:
            self._looked = now
            self.shedding = self._memory_is_high()
            self._relief.look(len(self.connections))
            self._pools_due = list(set(self.pools.values()))
            for terms in self._terms:
                terms.reload_certificates()
        self._pause = max(PACE, SWEEP / max(1, ceil(max(len(self._due), len(self._pools_due)) / AT_ONCE)))

    async def drain(self, seconds: float, grace: float = GRACE) -> int:
        """Takes no connection, finishes requests in flight, closes; returns how many had to be cut."""
        self._deadline = min(self._deadline, time.monotonic() + grace + seconds)
        self.draining = True
        await asyncio.sleep(0)  # one more look at the sockets: who has connected is served
        for sock in list(self._listeners):
            self.leave(sock)
        await asyncio.sleep(grace)
        while self.connections and time.monotonic() < self._deadline:
            for connection in list(self.connections):
                connection.drain()
            await asyncio.sleep(TICK)
        cut = self._cut()
        if self._sweeping is not None:
            self._sweeping.cancel()
        for pool in set(self.pools.values()):
            pool.close()
        await asyncio.sleep(0)
        return cut

    def hurry(self) -> None:
        """Ends a stop that is under way: what is in flight is cut."""
        self._deadline = 0.0

    def _cut(self) -> int:
        """Ends all connections; how many of them were busy."""
        left = list(self.connections)
        busy = sum(connection.busy for connection in left)
        for connection in left:
            if connection.transport is not None:
                connection.transport.abort()
        return busy
