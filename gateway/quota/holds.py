"""The permits of requests that are under way."""

from __future__ import annotations

from collections.abc import Callable

from gateway.quota.counters import Claim
from gateway.quota.leases import Leases
from gateway.quota.page import USED
from gateway.quota.pools.scopes import Pool
from gateway.quota.scopes import Meter, Scope


class Holds:
    """Of one process. `ready` hears of scopes whose permits have come back."""

    def __init__(self, leases: Leases, ready: Callable[[Scope], None]) -> None:
        self._leases = leases
        self._ready = ready

    def begin(self, claim: Claim[Meter]) -> Held:
        """Of a request that has taken its permits."""
        return Held(self, [(pool, cost) for meter, cost in claim.permits if isinstance(pool := meter.counter, Pool)])

    def give_back(self, pool: Pool, cost: int) -> None:
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

    __slots__ = ("_holds", "_permits")

    def __init__(self, holds: Holds, permits: list[tuple[Pool, int]]) -> None:
        self._holds = holds
        self._permits = permits

    def release(self) -> None:
        """See Hold."""
        permits, self._permits = self._permits, []
        for pool, cost in permits:
            self._holds.give_back(pool, cost)
