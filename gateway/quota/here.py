"""Permits and buckets in one process's memory."""

from __future__ import annotations

from math import inf
from typing import Protocol

from gateway.model import Limit, Outcome
from gateway.quota.counters import busy, granted, seconds_per_token, too_fast, within_rate


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
