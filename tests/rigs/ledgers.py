"""Ledgers on a real store, with a small time limit, and traffic for them."""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from redis.asyncio import Redis
from rigs.lateness import Lateness

from gateway.model import Charge, Limit, Outcome, Period, Store, Verdict
from gateway.quota.store import StoreLedger
from gateway.store.topology import topology

TIMEOUT = 0.3  # seconds: far above what a busy machine takes to answer
FENCE = 0.4


@asynccontextmanager
async def gateway(url: str, **options: Any) -> AsyncIterator[StoreLedger]:
    """One whose store is open. It is one that a restart costs nothing, unless said otherwise."""
    servers = topology(Store(kind="url", url=url))
    ledger = StoreLedger(servers, **{"timeout": TIMEOUT, "fence": FENCE, "durable": True, **options})
    await ledger.start()
    try:
        while ledger.fenced:
            await asyncio.sleep(0.01)
        yield ledger
    finally:
        await ledger.close()
        await servers.close()


@asynccontextmanager
async def client(url: str) -> AsyncIterator[Redis]:
    redis = Redis.from_url(url, decode_responses=True)
    try:
        yield redis
    finally:
        await redis.aclose()


def yearly(value: int, **fields: Any) -> Limit:
    """A limit of the plan `gold` whose window does not end while a test runs."""
    return Limit(**{"plan": "gold", "period": Period.YEAR, "value": value, **fields})


async def ask(ledger: StoreLedger, claim: Any) -> Outcome:
    """One request's answer, at once or later."""
    later: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
    outcome = ledger.consume(claim, later.set_result)
    return await later if outcome is None else outcome


async def until_granted(ledger: StoreLedger, *charges: Charge, scope: str = "mobile") -> None:
    """Ask until the store has been found again."""
    deadline = time.monotonic() + 10
    claim = ledger.claim(scope, charges)
    while (await ask(ledger, claim)).verdict is not Verdict.GRANTED:
        assert time.monotonic() < deadline, "the store was not found again"
        await asyncio.sleep(0.005)


def verdicts(outcomes: Sequence[Outcome]) -> Counter[str]:
    return Counter(outcome.verdict for outcome in outcomes)


async def units(redis: Redis, scope: str = "mobile", metric: str = "hits") -> tuple[int, int]:
    """Spent and held, of a metric's counters together."""
    spent = held = 0
    async for key in redis.scan_iter(f"gw:{{{scope}}}:gold::{metric}:*"):
        counted = (await redis.get(key)).split()
        spent, held = spent + int(counted[0]), held + int(counted[1])
    return spent, held


def given_up(log: str, scope: str = "mobile") -> int:
    """Units that the ledgers said may stay held for nobody."""
    return sum(int(said) for said in re.findall(rf"(\d+) units of '{scope}' may stay held", log))


class Load:
    """Clients of several ledgers, as fast as they are answered; or `rate` requests a second of each ledger.

    `longest` is what a request waited at most (seconds), beside the `lateness` of all in this process.
    """

    def __init__(self, ledgers: Sequence[StoreLedger], *charges: Charge, rate: float | None = None) -> None:
        self.outcomes: Counter[str] = Counter()
        self.longest = 0.0
        self.lateness = Lateness()
        self._ledgers = ledgers
        self._charges = charges
        self.rate = rate
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Load:
        await self.lateness.__aenter__()
        self._tasks = [asyncio.create_task(self._run(ledger)) for ledger in self._ledgers]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.lateness.__aexit__()

    @property
    def granted(self) -> int:
        return self.outcomes["granted"]

    async def _run(self, ledger: StoreLedger) -> None:
        claim = ledger.claim("mobile", self._charges)
        pause = 0.002
        credit = 0.0
        last = time.monotonic()
        while True:
            now = time.monotonic()
            credit, last = min(credit + (now - last) * (self.rate or 5_000), 100), now
            for _ in range(int(credit)):
                self._ask(ledger, claim, now)
            credit -= int(credit)
            await asyncio.sleep(pause)

    def _ask(self, ledger: StoreLedger, claim: Any, now: float) -> None:
        def answered(outcome: Outcome) -> None:
            self.outcomes[outcome.verdict] += 1
            self.longest = max(self.longest, time.monotonic() - now)

        outcome = ledger.consume(claim, answered)
        if outcome is not None:
            self.outcomes[outcome.verdict] += 1


async def all_of(ledger: StoreLedger, limit: Limit, *, seconds: float = 5.0, scope: str = "mobile") -> int:
    """Requests that are let in until the limit itself refuses; while others hold the rest, it waits for that."""
    claim, granted = ledger.claim(scope, (Charge(limit, 1),)), 0
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        outcome = await ask(ledger, claim)
        granted += outcome.verdict is Verdict.GRANTED
        if outcome.verdict is Verdict.REFUSED and outcome.retry_after != 1:
            return granted
    return granted


async def lease(ledger: StoreLedger, limit: Limit) -> Any:
    """Make a ledger busy enough to have units in hand; gives the claim."""
    claim = ledger.claim("mobile", (Charge(limit, 1),))
    while not ledger.in_hand:
        await asyncio.gather(*(ask(ledger, claim) for _ in range(10)))
        await asyncio.sleep(0.05)
    return claim


def never(outcome: Outcome) -> None:
    """The callback of a request that is answered at once."""
    raise AssertionError("answered later")
