"""What a process knows of a scope whose counters are in the store."""

from __future__ import annotations

from collections.abc import Callable
from math import inf

from gateway.model import Charge, Limit, Outcome
from gateway.quota.counters import Claim, lines_of
from gateway.quota.crossings import about, thresholds
from gateway.quota.periods import DAY, Window, window, zone_of
from gateway.store import keys

HOUR = 3_600.0
LONGEST_KEPT = 7.0 * DAY  # after a window's end: for late reports, and for people who look

MICRO = 1_000_000


class Counter:
    """One limit in one scope and window, as this process knows it.

    `hand` are units granted and not used; `spent` is the store's figure at `asked` (local time), plus what was
    reported since; `unreported` are units that were let in without asking.
    """

    __slots__ = ("asked", "end", "hand", "key", "row", "spent", "tail", "unreported")

    def __init__(self, key: str, end: float, row: tuple[int | str, ...], tail: tuple[str, str]) -> None:
        self.key = key
        self.end = end
        self.row = row
        self.tail = tail
        self.hand = 0
        self.spent = 0
        self.asked = -inf
        self.unreported = 0


ENDED = Counter("", -inf, (), ("", ""))  # before the first window


class Meter:
    """A limit in a scope, and the counter of the window that it is in."""

    __slots__ = ("_bins", "_rule", "_zone", "counter", "limit", "scope", "value")

    def __init__(self, prefix: str, scope: Scope, limit: Limit) -> None:
        self.scope = scope
        self.limit = limit
        self.value = limit.value
        self.counter = ENDED
        self._zone = zone_of(limit.period, limit.zone)
        self._rule = keys.counters(prefix, scope.name, limit, self._zone)
        self._bins = " ".join(f"{bin_}={units}" for units, bin_ in thresholds(limit))

    def open(self, now: float) -> Counter:
        """Turn to the window that holds `now`, the store's time."""
        here = window(self.limit.period, self._zone, now)
        key = keys.counter(self._rule, here.start)
        end = inf if here.end is None else here.end
        tail = (self._bins, about(self.scope.name, self.limit, key, here) if self._bins else "")
        self.counter = Counter(key, end, self._row(here), tail)
        return self.counter

    def at(self, now: float) -> Counter:
        """The counter for `now`."""
        return self.counter if now < self.counter.end else self.open(now)

    def count(self, cost: int, now: float) -> None:
        """Spend without asking; told to the store within a second."""
        counter = self.at(now)
        if not counter.unreported:
            self.scope.owes(counter)
        counter.unreported += cost

    @property
    def remaining(self) -> int:
        """A hint: units that are left, as far as this process knows."""
        counter = self.counter
        return self.value - counter.spent + counter.hand - counter.unreported

    def _row(self, here: Window) -> tuple[int | str, ...]:
        """The counter's part of a call: value, start, end, drop."""
        if here.end is None:
            return (self.value, 0, "", "")
        kept = min(LONGEST_KEPT, max(HOUR, here.end - here.start))
        return (self.value, int(here.start * MICRO), int(here.end * MICRO), int(here.end + kept))


class Waiter:
    """A request that the store is asked for. `done` is None when it has been answered."""

    __slots__ = ("claim", "deadline", "done")

    def __init__(self, claim: Claim[Meter], done: Callable[[Outcome], None], deadline: float) -> None:
        self.claim = claim
        self.done: Callable[[Outcome], None] | None = done
        self.deadline = deadline


class Scope:
    """Whose counters: its meters, who waits, and the call that is under way: there is one at most."""

    __slots__ = ("__weakref__", "_claims", "_debtors", "_meters", "_prefix", "call", "keys", "name", "owing", "waiting")

    def __init__(self, prefix: str, process: str, name: str, debtors: dict[Scope, None]) -> None:
        """`debtors` are the scopes that have something to report; this one enters itself."""
        self.name = name
        self.keys = (keys.calls(prefix, name, process), keys.outbox(prefix))
        self.waiting: list[Waiter] = []
        self.call: object | None = None
        self.owing: dict[Counter, None] = {}
        self._prefix = prefix
        self._debtors = debtors
        self._meters: dict[Limit, Meter] = {}
        self._claims: dict[tuple[Charge, ...], Claim[Meter]] = {}

    def claim(self, charges: tuple[Charge, ...]) -> Claim[Meter]:
        """The same claim for the same charges."""
        claim = self._claims.get(charges)
        if claim is None:
            claim = self._claims[charges] = Claim(lines_of(charges, self._meter))
        return claim

    def owes(self, counter: Counter) -> None:
        """Note that `counter` has something to report."""
        self.owing[counter] = None
        self._debtors[self] = None

    def forget(self) -> None:
        """Let go of the claims that nobody holds; others go on as they are."""
        self._claims.clear()
        self._meters.clear()

    def _meter(self, limit: Limit) -> Meter:
        meter = self._meters.get(limit)
        if meter is None:
            meter = self._meters[limit] = Meter(self._prefix, self, limit)
        return meter
