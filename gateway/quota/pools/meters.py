"""What a process knows of pools in the store: what it holds of them, and until when."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from gateway.model import Limit
from gateway.quota.counters import is_permit, seconds_per_token
from gateway.quota.meters import MICRO, NOWHERE, Counter, Meter
from gateway.quota.page import POOL, USED, Entry, Page
from gateway.quota.periods import Window

if TYPE_CHECKING:
    from gateway.quota.scopes import Scope

RENEW = 0.5  # seconds after which the store hears again of what is held
LIFE = 5.0  # seconds without that, after which it is free again

Row = tuple[int, str, int, int, int, int]


class Pool(Counter):
    """One limit's pool in one scope. There is one in a process, however often the limit is edited.

    Beside what a counter has: `most` units that there may be; `least`, the fewest in hand since the last look; `back`,
    units that go back; `told`, what the store believes to be held here, and `stale`: it has to hear of it anyway;
    `wanted`: another process got less than it needed lately, or may do so soon. In the page's cell USED are the permits
    in use, or all tokens used so far.
    """

    __slots__ = ("back", "least", "most", "per", "permits", "stale", "told", "wanted")

    def __init__(self, scope: Scope, key: str, limit: Limit) -> None:
        self.permits = is_permit(limit)
        self.least = self.back = self.told = 0
        self.stale = self.wanted = False
        self.most = limit.value if self.permits else limit.burst
        self.per = 0.0 if self.permits else seconds_per_token(limit)
        super().__init__(scope, Entry(key, (POOL, self.most, self.pace), ("", "")), Window(-inf, -inf), 0)

    @property
    def pace(self) -> str:
        """Microseconds in which a token comes; "" for permits."""
        return "" if self.permits else repr(self.per * MICRO)

    def set(self, limit: Limit) -> None:
        """Hold it within another value of the limit."""
        before, self.most = self.most, limit.value if self.permits else limit.burst
        self.per = 0.0 if self.permits else seconds_per_token(limit)
        self.left += self.most - before
        if self.most > before:
            self.soft_until = -inf
        self.trim()

    def trim(self) -> None:
        """Let go of what is in hand where more is out than there may be."""
        if self.permits and self.left < 0:
            self.left += self.drop(int(-self.left))

    def owes(self, page: Page) -> bool:
        """Whether the store has to hear of it."""
        return self.stale or self.told != self.hand + self.used(page)

    def give_back(self) -> None:
        """What is in hand is not needed any more."""
        self.back, self.stale = self.hand, self.stale or self.hand > 0

    def soften(self, local: float) -> None:
        """Believe for a moment that there is nothing left."""
        super().soften(local)
        if not self.permits:
            self.soft_until = min(self.soft_until, self.due(1))

    def due(self, units: int) -> float:
        """The local time at which the bucket has so many, if nobody takes any."""
        return self.asked + max(0.0, units - self.left) * self.per

    def tokens(self, local: float) -> float:
        """What there is now, as far as is known."""
        filled = (local - self.asked) / self.per if self.asked > -inf else 0.0
        return min(self.most, self.hand + max(0.0, self.left) + filled)

    def drop(self, units: int) -> int:
        """Let go of so many in hand at most; gives how many."""
        gone = min(self.hand, units)
        self.hand -= gone
        self.least = max(0, self.least - gone)
        return gone

    def used(self, page: Page) -> int:
        """Permits of requests that are under way."""
        return page.words[self.place + USED] if self.permits and self.place != NOWHERE else 0

    def row(self, page: Page, need: int, ahead: int, late: float) -> Row:
        """Its part of a call, which takes along what goes back. `late`: the store's time or later."""
        if late >= self.end:
            self.hand = 0  # it was held too long
        back = self.drop(self.back)
        self.left += back
        self.back = 0
        self.stale = False
        self.told = self.used(page) + self.hand
        return (self.most, self.pace, self.told, back, max(0, need - self.hand), ahead)


class PoolMeter(Meter):
    """A limit's pool in a scope."""

    __slots__ = ()

    def __init__(self, scope: Scope, limit: Limit, pool: Pool) -> None:  # the pool stands for every window
        self.scope = scope
        self.limit = limit
        self.counts_only = False
        self.value = pool.most
        self.counter = pool

    def open(self, now: float) -> Counter:
        """It has no windows."""
        return self.counter

    def at(self, now: float) -> Counter:
        """The same at any time."""
        return self.counter
