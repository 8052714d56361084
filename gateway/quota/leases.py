"""How much a process leases, when it asks for more, and when it gives back."""

from __future__ import annotations

from gateway.quota.meters import NOWHERE, Counter
from gateway.quota.page import APART, APART_OPEN, OPEN, USED, Page
from gateway.quota.pools.meters import RENEW, Pool

AHEAD = 0.15  # seconds of a counter's traffic that a lease is for,
LEAST = 100  # or so many units, if they are used within a second
SHORTEST = 0.02  # seconds over which traffic is measured at least
LOOK = 0.25  # seconds between looks at what is idle
QUIET = 2  # looks without a use after which units go back
LATE = 3  # looks after which what was used is reported


class Leases:
    """The counters of which a process has units, or owes a report; each with a cell in the page."""

    def __init__(self, page: Page, process: str = "") -> None:
        self.page = page
        self.process = process
        self.closed = False
        self.counters: dict[Counter, None] = {}

    def close(self) -> None:
        """What is open now, and later, is charged as it was reserved: nobody is left to tell the store of less."""
        self.closed = True
        for counter in self.counters:
            self.page.words[counter.place + OPEN] = self.page.words[counter.place + APART_OPEN] = 0

    def adopt(self, counter: Counter) -> None:
        """Give a counter a cell; raises PageFullError."""
        if counter.place == NOWHERE:
            counter.place = self.page.take(counter.entry)
            counter.mark = 0
            counter.used_then = 0
            self.counters[counter] = None
            counter.scope.cells[counter] = None

    def release(self, counter: Counter) -> None:
        """Take the cell back of a counter that has nothing and owes nothing."""
        self.page.free(counter.place)
        counter.place = NOWHERE
        del self.counters[counter]
        del counter.scope.cells[counter]

    def want(self, counter: Counter, waiting: int, local: float) -> int:
        """Units to lease ahead, from how fast they go; none for the first request in a while."""
        used = self.page.words[counter.place + USED] - counter.used_then + waiting
        rate = used / max(SHORTEST, local - counter.since)
        aim = int(max(AHEAD * rate, min(LEAST, rate)))
        if counter.idle:
            return aim
        return aim - counter.hand if counter.hand <= aim // 2 else 0

    def topped_up(self, counter: Counter, ahead: int, local: float) -> None:
        """Note a top-up, and when the next is due."""
        counter.since = local
        counter.used_then = self.page.words[counter.place + USED]
        counter.low = counter.hand // 4 if ahead else 0
        counter.quiet = 0

    def look(self, counter: Counter, local: float) -> bool:
        """Whether the store should hear of a counter. Gives up its cell where nothing is left of it."""
        if isinstance(counter, Pool):
            return self._look_at_pool(counter, local)
        words, place = self.page.words, counter.place
        mark = words[place + USED] + words[place + APART]
        counter.quiet = counter.quiet + 1 if mark == counter.mark else 0
        counter.mark = mark
        owes = counter.owes(self.page)
        counter.unreported = counter.unreported + 1 if owes else 0
        if counter.quiet >= QUIET and (counter.hand or owes):
            counter.idle = True
            return True
        idle = not owes and not counter.hand and not words[place + OPEN] and not words[place + APART_OPEN]
        if idle and counter.quiet > QUIET and counter.scope.call is None:
            self.release(counter)
            return False
        return counter.unreported >= LATE

    def _look_at_pool(self, pool: Pool, local: float) -> bool:
        """What was not needed since the last look goes back; what is held is told anew in time."""
        spare, pool.least = min(pool.hand, pool.least), pool.hand
        pool.back = max(pool.back, spare)
        holds = pool.hand > 0 or pool.used(self.page) > 0
        pool.stale = pool.stale or spare > 0 or (holds and local - pool.asked >= RENEW)
        owes = pool.owes(self.page)
        pool.quiet = 0 if holds or owes else pool.quiet + 1
        if pool.quiet > QUIET and pool.scope.call is None:
            self.release(pool)
        return owes
