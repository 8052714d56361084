"""What is kept for requests that are under way: permits, and units whose cost is known in the end."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from gateway.quota.counters import Claim
from gateway.quota.leases import Leases
from gateway.quota.page import APART, APART_OPEN, OPEN, USED
from gateway.quota.pools.scopes import Pool
from gateway.quota.scopes import Counter, Meter, Scope

Kept = tuple[Meter, Counter, int]  # what a request took of which counter


class Holds:
    """Of one process. `ready` hears of scopes whose units have come back."""

    def __init__(self, leases: Leases, ready: Callable[[Scope], None]) -> None:
        self._leases = leases
        self._ready = ready

    def open(self, claim: Claim[Meter], now: float) -> Held:
        """Of a request that takes its units now, which is the store's time. Raises PageFullError."""
        kept = []
        for meter, cost in claim.kept:
            counter = meter.counter
            if meter.counts_only:
                counter = meter.at(now)
                self._leases.adopt(counter)
            kept.append((meter, counter, cost))
        return Held(self, kept)

    def begin(self, kept: list[Kept]) -> None:
        """The store is not told of reserved units while the request is under way."""
        words = self._leases.page.words
        for meter, counter, cost in kept:
            if counter.__class__ is not Pool:
                words[counter.place + (APART_OPEN if meter.counts_only else OPEN)] += cost

    def end(self, kept: list[Kept], usage: Mapping[str, int]) -> None:
        """Give back permits, and what was reserved and not used; count what was used beyond that."""
        for meter, counter, cost in kept:
            if isinstance(counter, Pool):
                self._release(counter, cost)
            else:
                self._settle(meter, counter, cost, usage.get(meter.limit.metric, 0))

    def _settle(self, meter: Meter, counter: Counter, cost: int, used: int) -> None:
        """The order of writes: a kill between two of them charges what was reserved, and no unit is free twice."""
        words, place = self._leases.page.words, counter.place
        if meter.counts_only:
            words[place + APART] += used - cost
            words[place + APART_OPEN] -= cost
            counter.offset += cost - used
            return
        if used < cost:
            words[place + USED] -= cost - used
            counter.hand += cost - used
        words[place + OPEN] -= cost
        if used > cost:
            words[place + APART] += used - cost
            counter.offset -= used - cost
        if counter.scope.waiting:
            self._ready(counter.scope)

    def _release(self, pool: Pool, cost: int) -> None:
        """A permit is for who waits here, or stays in hand; it goes back at once if others want it."""
        self._leases.page.words[pool.place + USED] -= cost
        pool.hand += cost
        pool.trim()
        if pool.wanted and not pool.scope.waiting:
            pool.give_back()
        if pool.scope.waiting or pool.owes(self._leases.page):
            self._ready(pool.scope)


class Held:
    """See Hold."""

    __slots__ = ("_holds", "_kept")

    def __init__(self, holds: Holds, kept: list[Kept]) -> None:
        self._holds = holds
        self._kept = kept

    def begin(self) -> Held:
        """The request goes on."""
        self._holds.begin(self._kept)
        return self

    def settle(self, usage: Mapping[str, int]) -> None:
        """See Hold."""
        kept, self._kept = self._kept, []
        self._holds.end(kept, usage)
