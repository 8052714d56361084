"""Requests that wait, the calls that carry them, and who hears what became of a call."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple, Protocol

from gateway.quota.counters import Claim
from gateway.quota.meters import Counter, Meter
from gateway.quota.scopes import Scope, Waiter


class Group(NamedTuple):
    """Requests of one claim, and the counters that it had when they were counted.

    `lent`: what they are granted is leased, for they need other scopes' units too.
    """

    claim: Claim[Meter]
    counters: tuple[Counter, ...]  # beside claim.firm
    waiters: list[Waiter]
    lent: bool = False


def grouped(scope: Scope, waiting: Iterable[Waiter], now: float) -> list[Group]:
    """Requests that are alike; `now` is the store's time."""
    alike: dict[tuple[Claim[Meter], bool], list[Waiter]] = {}
    for waiter in waiting:
        alike.setdefault((waiter.part(scope), waiter.claim.lends), []).append(waiter)
    return [
        Group(part, tuple(meter.at(now) for meter, _ in part.firm), waiters, lent)
        for (part, lent), waiters in alike.items()
    ]


class Keeper(Protocol):
    """Who keeps the books of scopes."""

    def answered(self, call: Any, answer: Any) -> None:
        """The store has done `call`."""

    def undone(self, call: Any) -> None:
        """The store has not done `call`, and never will."""

    def voided(self, call: Any) -> None:
        """Nobody will know whether the store has done `call`."""

    def failed(self, call: Any) -> None:
        """The store cannot do `call`, nor another about the same counters."""


class KeptCall:
    """An Errand about a scope, of which `keeper` hears what became of it."""

    __slots__ = ("_keeper", "epoch", "groups", "number", "scope", "sent", "tried")

    def __init__(self, number: int, scope: Scope, groups: list[Group], sent: float, keeper: Keeper) -> None:
        self.number = number
        self.scope = scope
        self.groups = groups
        self.sent = sent
        self.epoch = 0
        self.tried = False
        self._keeper = keeper

    def __str__(self) -> str:
        return repr(self.scope.name)

    def answered(self, answer: Any) -> None:
        """See Errand."""
        self._keeper.answered(self, answer)

    def undone(self) -> None:
        """See Errand."""
        self._keeper.undone(self)

    def voided(self) -> None:
        """See Errand."""
        self._keeper.voided(self)

    def failed(self) -> None:
        """See Errand."""
        self._keeper.failed(self)
