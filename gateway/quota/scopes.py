"""What a process knows of a scope whose counters are in the store."""

from __future__ import annotations

from collections.abc import Callable
from math import inf

from gateway.model import Charge, Limit, Outcome, Over
from gateway.quota.counters import Claim, claim_of, together
from gateway.quota.crossings import about, thresholds
from gateway.quota.page import APART, APART_OPEN, DONE, OPEN, TOLD, TOLD_APART, USED, Entry, Page
from gateway.quota.periods import DAY, Window, window, zone_of
from gateway.store import keys

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


class Waiter:
    """A request that the store is asked for. `done` is None when it has been answered.

    `places` are the scopes in which it waits. `held` is a limit of which others hold what it needs, and how much that
    is. `lent` are counters of which units were leased for it, because it needs other scopes' too.
    """

    __slots__ = ("claim", "deadline", "done", "held", "lent", "places")

    def __init__(self, claim: Claim[Meter], done: Callable[[Outcome], None], deadline: float) -> None:
        self.claim = claim
        self.done: Callable[[Outcome], None] | None = done
        self.deadline = deadline
        self.held: tuple[Meter, int] | None = None
        self.lent: tuple[Counter, ...] = ()
        self.places: set[Scope] = set()

    def part(self, scope: Scope) -> Claim[Meter]:
        """What it needs of a scope."""
        parts = self.claim.parts
        return next(part for part in parts if scope_of(part) is scope) if parts else self.claim


def scope_of(part: Claim[Meter]) -> Scope:
    """The scope of a claim that has one, and limits in it that may refuse."""
    return part.firm[0][0].scope


class Scope:
    """Whose counters: its meters, who waits, and the call that is under way: there is one at most.

    `last` is the number of the call before, 0 where it need not be remembered; from `sure` on (local time) no copy of
    a call can be on its way.
    """

    __slots__ = (
        "__weakref__",
        "_claims",
        "_meters",
        "_prefix",
        "call",
        "cells",
        "key",
        "last",
        "name",
        "refill",
        "resting",
        "sure",
        "tag",
        "waiting",
    )

    def __init__(self, prefix: str, process: str, name: str) -> None:
        self.name = name
        self.tag = keys.tag(name)
        self.key = keys.calls(prefix, name, process)
        self.waiting: list[Waiter] = []
        self.call: object | None = None
        self.last = 0
        self.sure = -inf
        self.cells: dict[Counter, None] = {}  # that have a place in the page
        self.refill = False
        self.resting = False  # asks again a little later
        self._prefix = prefix
        self._meters: dict[Limit, Meter] = {}
        self._claims: dict[tuple[Charge, ...] | tuple[Claim[Meter], ...], Claim[Meter]] = {}

    def claim(self, charges: tuple[Charge, ...]) -> Claim[Meter]:
        """The same claim for the same charges."""
        claim = self._claims.get(charges)
        if claim is None:
            claim = self._claims[charges] = claim_of(charges, self._meter)
        return claim

    def together(self, parts: tuple[Claim[Meter], ...]) -> Claim[Meter]:
        """The same claim for the same parts. It is kept here, so this had better be the narrowest of their scopes."""
        claim = self._claims.get(parts)
        if claim is None:
            claim = self._claims[parts] = together(parts)
        return claim

    def forget(self) -> None:
        """Let go of the claims that nobody holds; others go on as they are."""
        self._claims.clear()
        self._meters.clear()

    def _meter(self, limit: Limit) -> Meter:
        meter = self._meters.get(limit)
        if meter is None:
            meter = self._meters[limit] = Meter(self._prefix, self, limit)
        return meter
