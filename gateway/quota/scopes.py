"""Scopes whose counters are in the store, and who waits in them."""

from __future__ import annotations

from collections.abc import Callable
from math import inf

from gateway.model import Charge, Limit, Outcome
from gateway.quota.counters import Claim, claim_of, together
from gateway.quota.meters import Counter, Meter
from gateway.store import keys


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
