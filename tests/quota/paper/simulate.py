"""Many gateways and applications under popular and unpopular traffic, in virtual time.

    python -m tests.quota.paper.simulate --gateways 1000 --applications 10000 --rate 2000 --seconds 120

prints what a request costs in calls, how much of the limits was admitted in each window, and how long requests waited.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import time
from bisect import bisect
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import accumulate
from random import Random
from typing import Any

from gateway.model import Charge, Limit, Outcome, Period, Verdict
from gateway.quota.calls import CONSUME

from .gateway import PaperGateway, store_ledger
from .truth import SECONDS
from .world import World

GOLD, SILVER = 10, 100  # the most popular applications, and those after them
MINUTELY = {"gold": 6000, "silver": 600, "free": 60}
SHIFT = 0.35  # seconds in which all gateways start, so that they do not act in step


@dataclass(frozen=True)
class Scale:
    """What is simulated. `spread`: gateways that an application's requests go to; `skew`: Zipf's exponent.

    `limit`: each application's one limit per `period`; 0: two by its popularity, per minute and per hour.
    """

    gateways: int = 1000
    applications: int = 10_000
    rate: float = 2000.0
    seconds: float = 120.0
    spread: int = 1000
    skew: float = 1.0
    seed: int = 1
    limit: int = 0
    period: str = "minute"

    @property
    def window(self) -> int:
        """Seconds of the windows that are shown."""
        return SECONDS[Period(self.period)]


@dataclass
class Window:
    """One application's window."""

    limit: int
    asked: int = 0
    admitted: int = 0


@dataclass
class Tally:
    """What came of it."""

    requests: int = 0
    calls: int = 0  # about counters
    others: int = 0
    verdicts: Counter[str] = field(default_factory=Counter)
    waits: list[float] = field(default_factory=list)  # of who was not answered at once
    windows: dict[tuple[int, int], Window] = field(default_factory=dict)  # by number and application

    def by_window(self) -> Iterator[str]:
        """What was admitted of the limits of those who asked for more."""
        for number in sorted({number for number, _ in self.windows}):
            here = [window for (when, _), window in self.windows.items() if when == number]
            busy = [window for window in here if window.asked >= window.limit]
            used = sum(window.admitted for window in busy) / max(1, sum(window.limit for window in busy))
            over = sum(window.admitted > window.limit for window in here)
            yield f"window {number}: {len(busy)} applications at their limit, {used:.1%} of it admitted, {over} over it"

    def lines(self) -> Iterator[str]:
        yield f"{self.requests} requests: {dict(self.verdicts)}"
        yield f"{self.calls / max(1, self.requests):.4f} calls per request"
        yield f"and {self.others} others: looks at the epoch, and calls to be forgotten"
        yield from self.by_window()
        waits = sorted(self.waits) or [0.0]
        worst, most = waits[-1] * 1000, waits[len(waits) * 99 // 100] * 1000
        part = len(self.waits) / max(1, self.requests)
        yield f"{part:.1%} waited: 99 % up to {most:.1f} ms, the worst {worst:.1f} ms"


class Simulation:
    """Traffic over a calm network."""

    def __init__(self, scale: Scale) -> None:
        self.tally = Tally()
        self._scale = scale
        self._random = Random(scale.seed)
        self._weights = list(accumulate(1 / rank**scale.skew for rank in range(1, scale.applications + 1)))
        self._charges = [self._charges_of(rank) for rank in range(scale.applications)]
        self._world = World(scale.seed, store_ledger(), recorded=False, poll=scale.seconds + 60)

    def run(self) -> Tally:
        with self._world as world:
            world.run(self._story())
            made = world.servers[0].calls
            self.tally.calls = made[CONSUME.digest.encode()]
            self.tally.others = made.total() - self.tally.calls
        return self.tally

    async def _story(self) -> None:
        world, scale = self._world, self._scale
        for _ in range(scale.gateways):
            gateway = world.gateway()
            await asyncio.sleep(SHIFT / scale.gateways)
        await gateway.started()
        await asyncio.sleep(scale.window - world.wall() % scale.window)  # the fence is open, and a window begins
        self._first = world.wall() // scale.window
        world.servers[0].calls.clear()
        end = world.loop.time() + scale.seconds
        while world.loop.time() < end:
            self._ask()
            await asyncio.sleep(self._random.expovariate(scale.rate))
        await asyncio.sleep(1.0)

    def _ask(self) -> None:
        place = bisect(self._weights, self._random.random() * self._weights[-1])
        which = (place * 7919 + self._random.randrange(self._scale.spread)) % self._scale.gateways
        gateway: PaperGateway = self._world.gateways[which]
        charges = self._charges[place]
        window = self._window(self._world.wall(), place, charges[0].limit)
        window.asked += 1
        self.tally.requests += 1
        gateway.ask(f"app{place}", charges, lambda request: self._heard(request.outcome, place, request))

    def _heard(self, outcome: Outcome | None, place: int, request: Any) -> None:
        assert outcome is not None
        self.tally.verdicts[outcome.verdict.value + (" for a moment" if outcome.retry_after == 1 else "")] += 1
        if request.answered > request.asked:
            self.tally.waits.append(request.answered - request.asked)
        if outcome.verdict is Verdict.GRANTED:
            limit = request.charges[0].limit
            told = outcome.resets_at if outcome.limit is limit else None
            self._window(self._world.wall() if told is None else told - 1, place, limit).admitted += 1

    def _window(self, at: float, place: int, limit: Limit) -> Window:
        number = int(at // self._scale.window - self._first)
        return self.tally.windows.setdefault((number, place), Window(limit.value))

    def _charges_of(self, rank: int) -> tuple[Charge, ...]:
        scale = self._scale
        if scale.limit:
            return (Charge(Limit(plan="one", period=Period(scale.period), value=scale.limit, bins=(80, 100)), 1),)
        plan = "gold" if rank < GOLD else "silver" if rank < GOLD + SILVER else "free"
        value = MINUTELY[plan]
        minute = Limit(plan=plan, period=Period.MINUTE, value=value, bins=(80, 100))
        return Charge(minute, 1), Charge(Limit(plan=plan, period=Period.HOUR, value=value * 20, bins=(80, 100)), 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in vars(Scale()).items():
        parser.add_argument(f"--{name}", type=type(default), default=default)
    logging.disable(logging.CRITICAL)
    began = time.process_time()
    for line in Simulation(Scale(**vars(parser.parse_args()))).run().lines():
        print(line)
    print(f"{time.process_time() - began:.0f} s of CPU")


if __name__ == "__main__":
    main()
