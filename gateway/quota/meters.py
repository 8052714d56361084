"""What a process knows of a limit in a scope whose counters are in the store."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from gateway.model import Limit, Over
from gateway.quota.crossings import about, thresholds
from gateway.quota.page import APART, APART_OPEN, DONE, OPEN, TOLD, TOLD_APART, USED, Entry, Page
from gateway.quota.periods import DAY, Window, window, zone_of
from gateway.store import keys

if TYPE_CHECKING:
    from gateway.quota.scopes import Scope

HOUR = 3_600.0
LONGEST_KEPT = 7.0 * DAY  # after a window's end: for late reports, and for people who look
MONTHS_KEPT = 62.0 * DAY  # the same of months and years: for bills

SOFT = 0.25  # seconds for which it is believed that others hold the rest

MICRO = 1_000_000
NOWHERE = -1


class Counter:
    """One limit in one scope and window, as this process knows it.

    `hand` are units leased and not used; `offset` is what is left of the limit besides, as far as is known. `spent`
    and `topped` are the store's figures at `asked` (local time), `left` what it had beside. `place` is its cell in the
    page while it has one. Below `low` in hand more is leased.
    """

    __slots__ = (
        "asked",
        "end",
        "entry",
        "hand",
        "idle",
        "left",
        "low",
        "mark",
        "offset",
        "place",
        "quiet",
        "scope",
        "since",
        "soft_until",
        "spent",
        "start",
        "topped",
        "unreported",
        "used_then",
    )

    def __init__(self, scope: Scope, entry: Entry, here: Window, value: int) -> None:
        self.scope = scope
        self.entry = entry
        self.start = here.start
        self.end = inf if here.end is None else here.end
        self.place = NOWHERE
        self.hand = 0
        self.low = 0
        self.offset = value
        self.spent = 0
        self.topped = 0
        self.left = 0.0
        self.asked = -inf
        self.soft_until = -inf  # until then, others are believed to hold the rest (local time)
        self.since = -inf  # local time of the last top-up, and USED then
        self.used_then = 0
        self.mark = 0  # USED and APART at the last look
        self.quiet = 0  # looks without a use
        self.unreported = 0  # looks with something to report
        self.idle = False  # what is in hand goes back

    def owes(self, page: Page) -> bool:
        """Whether something was used that the store does not know."""
        words, place = page.words, self.place
        bank = words[place + DONE] & 1
        return (
            words[place + USED] - words[place + OPEN] != words[place + TOLD + bank]
            or words[place + APART] - words[place + APART_OPEN] != words[place + TOLD_APART + bank]
        )

    def short_of(self, units: int) -> bool:
        """Whether it is known that the store cannot give so many."""
        return self.asked > -inf and self.left < units

    def give_back(self) -> None:
        """What is in hand is not needed any more."""
        self.idle = self.hand > 0

    def soften(self, local: float) -> None:
        """Believe for a moment that others hold the rest."""
        self.soft_until = local + SOFT


class Meter:
    """A limit in a scope, and the counter of the window that it is in."""

    __slots__ = ("_bins", "_rule", "_zone", "counter", "counts_only", "limit", "scope", "value")

    def __init__(self, prefix: str, scope: Scope, limit: Limit) -> None:
        self.scope = scope
        self.limit = limit
        self.counts_only = limit.over is Over.ALLOW
        self.value = limit.leased
        self._zone = zone_of(limit.period, limit.zone)
        self._rule = keys.counters(prefix, scope.name, limit, self._zone)
        self._bins = " ".join(f"{bin_}={units}" for units, bin_ in thresholds(limit, limit.leased))
        self.counter = Counter(scope, NO_ENTRY, Window(-inf, -inf), 0)

    def open(self, now: float) -> Counter:
        """Turn to the window that holds `now`, the store's time."""
        here = window(self.limit.period, self._zone, now)
        key = keys.counter(self._rule, here.start)
        tail = (self._bins, about(self.scope.name, self.limit, key, here) if self._bins else "")
        self.counter = Counter(self.scope, Entry(key, self._row(here), tail), here, self.value)
        return self.counter

    def at(self, now: float) -> Counter:
        """The counter for `now`."""
        return self.counter if now < self.counter.end else self.open(now)

    def _row(self, here: Window) -> tuple[int | str, ...]:
        """The counter's part of a call: value, start, end, drop."""
        if here.end is None:
            return (self.value, 0, "", "")
        return (self.value, int(here.start * MICRO), int(here.end * MICRO), dropped(here))


def dropped(here: Window) -> int | str:
    """When the counter of a window is forgotten, in Unix seconds; "" for never."""
    if here.end is None:
        return ""
    length = here.end - here.start
    return int(here.end + (MONTHS_KEPT if length > 27 * DAY else min(LONGEST_KEPT, max(HOUR, length))))


NO_ENTRY = Entry("", (), ("", ""))  # before the first window
