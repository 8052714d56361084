"""Counters, permits and buckets in one process's memory; weakly referenced, which what is compiled cannot be."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Protocol

from gateway.model import Limit, Outcome
from gateway.quota.counters import busy, granted, seconds_per_token, too_fast, within_rate
from gateway.quota.crossings import NEVER
from gateway.quota.periods import Window

if TYPE_CHECKING:
    from gateway.quota.memory import Meter


class Tally:
    """A counter. Limits that differ only in value share it: before and after an edit.

    `taken` are all units of admitted requests. Of these, `held` are of requests under way, whose cost is known in the
    end; alerts hear of the others.
    """

    __slots__ = ("__weakref__", "alarm", "end", "held", "meter", "raised", "start", "taken")

    def __init__(self) -> None:
        self._reset(0.0, -inf)

    def _reset(self, start: float, end: float) -> None:
        self.start = start
        self.end = end
        self.taken = self.held = 0
        self.raised: set[int] = set()
        self.meter: Meter | None = None  # the one whose next bin `alarm` is
        self.alarm = NEVER

    @property
    def spent(self) -> int:
        """Units of requests of which the cost is known."""
        return self.taken - self.held

    def open(self, window: Window) -> None:
        """Start counting for `window`."""
        self._reset(window.start, inf if window.end is None else window.end)


class Pool(Protocol):
    """What a limit holds within bounds that are no window; after `end` it is as if it had not been used."""

    @property
    def end(self) -> float: ...

    def refusal(self, limit: Limit, cost: int, now: float) -> Outcome | None:
        """None: there is enough."""

    def take(self, limit: Limit, cost: int, now: float) -> None: ...

    def give_back(self, cost: int) -> None:
        """A request that took so much has ended."""

    def granted(self, limit: Limit, now: float) -> Outcome:
        """What is told of it to who was let in."""


class Permits:
    """So many at once."""

    __slots__ = ("__weakref__", "used")

    def __init__(self) -> None:
        self.used = 0

    @property
    def end(self) -> float:
        """See Pool."""
        return inf if self.used else -inf

    def refusal(self, limit: Limit, cost: int, now: float) -> Outcome | None:
        """See Pool."""
        return busy(limit, cost) if self.used + cost > limit.value else None

    def take(self, limit: Limit, cost: int, now: float) -> None:
        """See Pool."""
        self.used += cost

    def give_back(self, cost: int) -> None:
        """See Pool."""
        self.used -= cost

    def granted(self, limit: Limit, now: float) -> Outcome:
        """See Pool."""
        return granted(limit, limit.value - self.used, inf)


class Bucket:
    """So many in a time, and a burst: `missing` tokens of a full bucket, at the time `at`; full again at `end`."""

    __slots__ = ("__weakref__", "at", "end", "missing")

    def __init__(self) -> None:
        self.missing = 0.0
        self.at = self.end = -inf

    def left(self, limit: Limit, now: float) -> float:
        """Tokens, at most the burst."""
        came = max(0.0, now - self.at) / seconds_per_token(limit)
        return limit.burst - max(0.0, self.missing - came)

    def refusal(self, limit: Limit, cost: int, now: float) -> Outcome | None:
        """See Pool."""
        left = self.left(limit, now)
        return too_fast(limit, cost, left, now) if left + EXACT < cost else None

    def take(self, limit: Limit, cost: int, now: float) -> None:
        """See Pool."""
        self.missing = limit.burst - self.left(limit, now) + cost
        self.at = max(self.at, now)
        self.end = self.at + self.missing * seconds_per_token(limit)

    def give_back(self, cost: int) -> None:
        """What was let through stays so."""

    def granted(self, limit: Limit, now: float) -> Outcome:
        """See Pool."""
        return within_rate(limit, self.left(limit, now), now)


EXACT = 1e-6  # of a token: who comes when it is said that there will be one gets it
