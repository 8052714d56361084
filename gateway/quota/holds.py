"""What is kept for requests that are under way: permits, and units whose cost is known in the end.

Those units are used, as the page has it, and open: the store is not told of them yet, so that to it they are held. A
kill at any moment charges them as they were reserved.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from gateway.quota.counters import Claim
from gateway.quota.leases import Leases
from gateway.quota.meters import Counter, Meter
from gateway.quota.page import APART, APART_OPEN, OPEN, USED
from gateway.quota.pools.meters import Pool
from gateway.quota.scopes import Scope


class Kept(NamedTuple):
    """What a request took of a counter: out of the lease, or `apart` from it; `share`: out of the gateway's own share
    of the counter of that key.
    """

    counter: Counter
    metric: str
    cost: int
    apart: bool = False
    share: str = ""


class Holds:
    """Of one process. `ready` hears of scopes whose units have come back; `share_back` gives units back to the
    gateway's own share of a counter, where it still can.
    """

    def __init__(
        self,
        leases: Leases,
        ready: Callable[[Scope], None],
        share_back: Callable[[str, int], None] = lambda key, units: None,
    ) -> None:
        self._leases = leases
        self._ready = ready
        self._share_back = share_back

    def open(self, claim: Claim[Meter], now: float) -> Held:
        """Of a request that takes its units now, which is the store's time. Raises PageFullError."""
        return Held(self, [self._kept(meter, cost, now) for meter, cost in claim.kept])

    def _kept(self, meter: Meter, cost: int, now: float) -> Kept:
        if not meter.counts_only:
            return Kept(meter.counter, meter.limit.metric, cost)
        return self.apart(meter, cost, now)

    def apart(self, meter: Meter, cost: int, now: float, share: str = "") -> Kept:
        """What is counted without a lease. Raises PageFullError."""
        counter = meter.at(now)
        self._leases.adopt(counter)
        return Kept(counter, meter.limit.metric, cost, not share, share)

    def begin(self, kept: list[Kept]) -> None:
        """The store is not told of reserved units while the request is under way."""
        if self._leases.closed:
            return
        words = self._leases.page.words
        for counter, _, cost, apart, share in kept:
            if not share and not isinstance(counter, Pool):
                words[counter.place + (APART_OPEN if apart else OPEN)] += cost

    def end(self, kept: list[Kept], usage: Mapping[str, int]) -> None:
        """Give back permits, and what was reserved and not used; count what was used beyond that."""
        for one in kept:
            if isinstance(one.counter, Pool):
                self._release(one.counter, one.cost)
            elif self._leases.closed:
                continue
            elif one.share:
                self._settle_share(one, usage.get(one.metric, 0))
            elif one.apart:
                self._settle_apart(one, usage.get(one.metric, 0))
            else:
                self._settle(one, usage.get(one.metric, 0))

    def _settle(self, kept: Kept, used: int) -> None:
        """The order of writes: a kill between two of them charges what was reserved, and no unit is free twice."""
        counter, cost = kept.counter, kept.cost
        words, place = self._leases.page.words, counter.place
        if used < cost:
            words[place + USED] -= cost - used
            counter.hand += cost - used
        words[place + OPEN] -= cost
        if used > cost:
            words[place + APART] += used - cost
            counter.offset -= used - cost
        if counter.scope.waiting:
            self._ready(counter.scope)

    def _settle_apart(self, kept: Kept, used: int) -> None:
        words, place = self._leases.page.words, kept.counter.place
        words[place + APART] += used - kept.cost
        words[place + APART_OPEN] -= kept.cost
        kept.counter.offset += kept.cost - used

    def _settle_share(self, kept: Kept, used: int) -> None:
        """What passes the reserve is the whole limit's, as the share is no larger."""
        if used < kept.cost:
            self._share_back(kept.share, kept.cost - used)
            return
        self._leases.adopt(kept.counter)
        self._leases.page.words[kept.counter.place + APART] += used - kept.cost

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
