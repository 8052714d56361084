"""One call about one scope: what waits, as the script's arguments, and what its answer means."""

from __future__ import annotations

from typing import NamedTuple

from gateway.quota.counters import Claim
from gateway.quota.scopes import MICRO, Counter, Meter, Scope, Waiter

REMEMBERED = 60  # seconds that the store remembers a process's last call about a scope

STALE = "-"


class Group(NamedTuple):
    """Requests of one claim, and the counters that it had when they were counted."""

    claim: Claim[Meter]
    counters: tuple[Counter, ...]  # beside claim.firm
    waiters: list[Waiter]

    def keep(self, requests: int) -> None:
        """Take in hand what was granted to requests that no longer wait."""
        for counter, (_, cost) in zip(self.counters, self.claim.firm, strict=True):
            counter.hand += cost * requests


class Answer(NamedTuple):
    """The store's time in Unix seconds; units spent per counter (None: not its window); requests granted per group."""

    now: float
    spent: list[int | None]
    granted: list[int]

    @classmethod
    def parse(cls, answer: bytes) -> Answer:
        now, spent, granted = answer.decode().split(";")
        return cls(
            int(now) / MICRO,
            [None if units == STALE else int(units) for units in spent.split(",") if units],
            [int(requests) for requests in granted.split(",") if requests],
        )


class Call:
    """What is sent, again under the same number if its answer is lost.

    `sent` is the local time before it was sent first: what the store answers, also again, was so after that.
    """

    __slots__ = ("arguments", "counters", "groups", "number", "reports", "scope", "sent")

    def __init__(self, number: int, scope: Scope, groups: list[Group], sent: float) -> None:
        """Takes what the scope's counters have to report."""
        self.number = number
        self.scope = scope
        self.groups = groups
        self.sent = sent
        self.reports = {counter: counter.unreported for counter in scope.owing}
        scope.owing.clear()
        for counter, units in self.reports.items():
            counter.unreported = 0
            counter.spent += units
        self.counters = list(dict.fromkeys((*self.reports, *(c for group in groups for c in group.counters))))
        self.arguments: tuple[str | int, ...] = ()

    def pack(self, seen: float) -> None:
        """Write the script's keys and arguments (see consume.lua), the number of keys first."""
        counters = self.counters
        rows: list[str | int] = []
        for counter in counters:
            rows += (*counter.row, self.reports.get(counter, 0), *counter.tail)
        place = {counter: row for row, counter in enumerate(counters, 1)}
        shapes: list[str | int] = []
        for claim, held, waiters in self.groups:
            shapes += (len(waiters), len(held))
            for counter, (_, cost) in zip(held, claim.firm, strict=True):
                shapes += (place[counter], cost)
        self.arguments = (
            2 + len(counters),
            *self.scope.keys,
            *(counter.key for counter in counters),
            *(self.number, int(seen * MICRO), REMEMBERED),
            *(len(counters), *rows),
            *(len(self.groups), *shapes),
        )

    def settle(self, answer: Answer) -> None:
        """Note what the store knows, and turn to its window where another was asked for."""
        self.reports = {}
        stale = set()
        for counter, spent in zip(self.counters, answer.spent, strict=True):
            if spent is None:
                stale.add(counter)
            else:
                counter.spent, counter.asked = spent, self.sent
        for meter in {meter for group in self.groups for meter, _ in group.claim.firm}:
            if meter.counter in stale:
                meter.open(answer.now)

    def take_back(self) -> None:
        """The store has not counted the reports: they are owed again."""
        for counter, units in self.reports.items():
            if not counter.unreported:
                self.scope.owes(counter)
            counter.unreported += units
            counter.spent -= units
        self.reports = {}
