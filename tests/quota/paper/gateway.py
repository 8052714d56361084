"""A gateway on paper: a process with its clock, its connections and the ledger's real code."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from gateway.model import Charge, Outcome
from gateway.quota.store import StoreLedger

from .loop import PaperLoop, Process
from .network import PaperTopology

Make = Callable[[PaperTopology, Process], "Ledger"]


class Ledger(Protocol):
    """What is asked of a ledger here."""

    async def start(self) -> None: ...
    async def close(self) -> None: ...
    def claim(self, scope: str, charges: tuple[Charge, ...]) -> Any: ...
    def consume(self, claim: Any, done: Callable[[Outcome], None]) -> Outcome | None: ...


@dataclass(eq=False, slots=True)
class Request:
    """What was asked of which gateway, and what it was told. Times are the loop's. `used` is what it used of what was
    reserved, by metric, once it has ended.
    """

    gateway: str
    scope: str
    charges: tuple[Charge, ...]
    asked: float
    outcome: Outcome | None = None
    answered: float = float("inf")
    answers: int = 0
    used: dict[str, int] | None = None
    ended: float = float("inf")

    @property
    def reserves(self) -> bool:
        return any(charge.reserved for charge in self.charges)

    def charged(self, charge: Charge) -> int:
        """What it was charged: what it used, or all where nobody knows that."""
        return self.used[charge.limit.metric] if charge.reserved and self.used is not None else charge.cost

    def hear(self, outcome: Outcome, now: float) -> None:
        self.outcome, self.answered = outcome, now
        self.answers += 1


class PaperGateway:
    """One life of a gateway, under a name of its own."""

    def __init__(self, name: str, loop: PaperLoop, make: Callable[[Process], Ledger], process: Process) -> None:
        """`make` builds the ledger; it is called as the process's code."""
        self.name = name
        self.process = process
        self.born = loop.time()
        self.died = float("inf")  # or left
        self.closed = False
        self._loop = loop
        self.ledger: Ledger = process.run(make, process)
        self._starting = process.spawn(self.ledger.start())

    @property
    def serves(self) -> bool:
        return self.process.alive and not self.process.paused and not self.closed and self._starting.done()

    async def started(self) -> None:
        await self._starting

    def ask(self, scope: str, charges: tuple[Charge, ...], heard: Callable[[Request], None] | None = None) -> Request:
        """One request, now; `heard` is told when it was answered."""
        request = Request(self.name, scope, charges, self._loop.time())

        def done(outcome: Outcome) -> None:
            if self.died > self._loop.time():
                request.hear(outcome, self._loop.time())
                if heard is not None:
                    heard(request)

        self.process.run(self._consume, request, done)
        return request

    def end(self, request: Request, used: dict[str, int]) -> None:
        """A request that was let in has ended; one that ends after its gateway began to leave is charged whole."""
        if not self.closed and self.died > self._loop.time() and request.used is None:
            assert request.outcome is not None and request.outcome.hold is not None
            request.used, request.ended = used, self._loop.time()
            self.process.run(request.outcome.hold.settle, used)

    def kill(self) -> None:
        """As kill -9: what it sent may be executed or not, and it hears of nothing."""
        self.died = min(self.died, self._loop.time())
        self.process.kill()

    async def drain(self) -> None:
        """As at SIGTERM: everything is handed back in order."""
        self.closed = True
        await asyncio.wait([self.process.spawn(self._close())])

    async def _close(self) -> None:
        await self.ledger.close()
        self.died = self._loop.time()

    def _consume(self, request: Request, done: Callable[[Outcome], None]) -> None:
        claim = self.ledger.claim(request.scope, request.charges)
        outcome = self.ledger.consume(claim, done)
        if outcome is not None:
            done(outcome)


def store_ledger(**options: Any) -> Make:
    """Makes the ledger that is tried here; it waits for all replicas that there are."""

    def make(topology: PaperTopology, process: Process) -> Ledger:
        replicas = max(len(node.server.replicas) for node in topology.nodes)
        return StoreLedger(topology, **{"clock": process.clock, "wait": replicas, **options})

    return make
