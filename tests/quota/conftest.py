"""Real servers, and worlds: ledgers of each kind over a clock that tests set."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any, Protocol

import pytest
from redis.asyncio import Redis
from rigs.stores import Server, binary_of

from gateway.model import Alert, Charge, Limit, Outcome, Period, Store
from gateway.quota.memory import MemoryLedger
from gateway.quota.store import StoreLedger
from gateway.store.connection import connect
from gateway.store.embedded import EmbeddedStore
from gateway.store.topology import topology

MONDAY = datetime.fromisoformat("2100-01-04T12:00:00Z").timestamp()  # ahead of any server's clock
BRIEF = 0.3  # seconds, where requests wait in vain
PATIENT = 5.0  # seconds: a ledger whose time limit does not matter to the test

prefixes = (f"t{number}" for number in count())


@pytest.fixture(scope="session")
def urls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], str]]:
    """The URL of a server of a kind, one for the whole run."""
    running: dict[str, tuple[str, Callable[[], None]]] = {}

    def start(kind: str) -> tuple[str, Callable[[], None]]:
        folder = tmp_path_factory.mktemp(kind)
        if kind == "embedded":
            store = EmbeddedStore(folder)
            return store.start(), store.stop
        server = Server(binary_of(kind), folder).start()
        return server.url, server.kill

    def url(kind: str) -> str:
        if kind not in running:
            running[kind] = start(kind)
        return running[kind][0]

    yield url
    for _, stop in running.values():
        stop()


@pytest.fixture(params=["redis", "valkey"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    """A server that this test may hurt; it syncs every write."""
    durable = ("--appendonly", "yes", "--appendfsync", "always")
    server = Server(binary_of(request.param), tmp_path, *durable).start()
    yield server
    with suppress(ProcessLookupError):
        server.kill()


class Gateway(Protocol):
    """A ledger of any kind, and the way tests ask it."""

    def claim(self, scope: str, charges: tuple[Charge, ...], *others: tuple[str, tuple[Charge, ...]]) -> Any: ...
    def consume(self, claim: Any, done: Callable[[Outcome], None]) -> Outcome | None: ...


async def ask(ledger: Gateway, claim: Any) -> Outcome:
    """One request's answer, at once or later."""
    later: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
    outcome = ledger.consume(claim, later.set_result)
    return await later if outcome is None else outcome


async def ask_all(ledgers: list[Gateway], requests: int, scope: str, *charges: Charge) -> list[Outcome]:
    """So many requests at the same time, each ledger's turn in order."""
    claims = [(ledger, ledger.claim(scope, charges)) for ledger in ledgers]
    return await asyncio.gather(*(ask(*claims[number % len(claims)]) for number in range(requests)))


class World:
    """Gateways that share counters, at a time that the test sets."""

    def __init__(self, url: str | None, patience: float = PATIENT) -> None:
        self.now = MONDAY
        self.prefix = next(prefixes)
        self.calls = 0
        self._url = url
        self._patience = patience
        self._alerts: list[Alert] = []
        self._memory = MemoryLedger(lambda: self.now, self._alerts.append)
        self._ledgers: list[StoreLedger] = []
        self._clients: list[Redis] = []

    async def gateway(self) -> Gateway:
        """One more; in memory there is but one."""
        if self._url is None:
            return self._memory
        store = Store(kind="url", url=self._url)
        redis = connect(store)
        ledger = StoreLedger(
            topology(store),
            prefix=self.prefix,
            timeout=self._patience,
            look=0.01,
            fence=0.0,
            clock=lambda: self.now,
            on_call=self._called,
        )
        await ledger.start()
        self._clients.append(redis)
        self._ledgers.append(ledger)
        self._tell(ledger)
        return ledger

    async def advance(self, seconds: float) -> None:
        """Let time pass while no call is under way: a store that is so late with an answer would be away. It takes the
        latest of its own time and what a caller saw, so callers have seen it.
        """
        while any(dispatcher.busy for ledger in self._ledgers for dispatcher in ledger._nodes.dispatchers):
            await asyncio.sleep(0.001)
        self.now += seconds
        for ledger in self._ledgers:
            self._tell(ledger)

    async def rest(self) -> None:
        """Return when no call is under way, and all that was used is told."""
        while any(ledger.owes for ledger in self._ledgers):
            await asyncio.sleep(0.002)

    async def alerts(self) -> list[Alert]:
        """All that were raised, when everything has been reported."""
        if not self._ledgers:
            return self._alerts
        for ledger in self._ledgers:
            while ledger.owes:
                await asyncio.sleep(0.01)
        entries = await self._clients[0].xrange(f"{self.prefix}:outbox")
        return [Alert(**json.loads(fields[b"alert"])) for _, fields in entries]

    async def close(self) -> None:
        for ledger in self._ledgers:
            await ledger.close()
        for redis in self._clients:
            await redis.aclose()

    def _called(self, seconds: float, ok: bool) -> None:
        self.calls += 1

    def _tell(self, ledger: StoreLedger) -> None:
        ledger.clock.learn(self.now, self.now, self.now)


KINDS = ["memory", *(pytest.param(kind, marks=pytest.mark.redis) for kind in ("redis", "valkey", "embedded"))]


@pytest.fixture(params=KINDS)
async def world(request: pytest.FixtureRequest, urls: Callable[[str], str]) -> AsyncIterator[World]:
    """A fresh world of each kind of ledger."""
    world = World(None if request.param == "memory" else urls(request.param))
    yield world
    await world.close()


@pytest.fixture(params=KINDS)
async def brief(request: pytest.FixtureRequest, urls: Callable[[str], str]) -> AsyncIterator[World]:
    """A world whose requests wait shortly for what others hold."""
    world = World(None if request.param == "memory" else urls(request.param), BRIEF)
    yield world
    await world.close()


@pytest.fixture
async def ledger(world: World) -> Gateway:
    """The world's first gateway."""
    return await world.gateway()


def limit(value: int, **fields: Any) -> Limit:
    """A limit of the plan `gold`, per minute unless said otherwise."""
    return Limit(**{"plan": "gold", "period": Period.MINUTE, "value": value, **fields})
