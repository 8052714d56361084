"""The store's clock, as a process knows it between two answers."""

from __future__ import annotations

import time
from collections.abc import Callable
from time import CLOCK_BOOTTIME, clock_gettime


def boottime() -> float:
    """Seconds since boot; goes on while the machine sleeps, and nobody sets it."""
    return clock_gettime(CLOCK_BOOTTIME)


class StoreClock:
    """Two bounds of the store's Unix time: `local() + behind` is at most it, `local() + ahead` at least.

    An answer was given between the sending of its call and its receipt; the bounds differ by as much. `seen` is
    the latest store time that was told: a call carries it, so that time never runs backwards over a failover.
    """

    __slots__ = ("ahead", "behind", "local", "seen")

    def __init__(self, local: Callable[[], float] = boottime) -> None:
        self.local = local
        self.behind = self.ahead = time.time() - local()  # until the store has answered
        self.seen = 0.0

    def learn(self, now: float, sent: float, received: float) -> None:
        """Take an answer's time; `sent` and `received` are of the local clock."""
        if now < self.seen:
            return  # overtaken by a later answer
        self.seen = now
        self.behind = now - received
        self.ahead = now - sent

    def earliest(self) -> float:
        """The store's time, or a little before."""
        return self.local() + self.behind

    def latest(self) -> float | None:
        """The store's time, or a little later; None until it has told."""
        return self.local() + self.ahead if self.seen else None
