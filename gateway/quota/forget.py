"""Lets the store forget last calls about scopes of which a process has nothing: they would take most of its memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from gateway.quota.errands import Errand
from gateway.quota.meters import MICRO
from gateway.quota.scopes import Scope
from gateway.store.fence import Fence
from gateway.store.script import Command, Script
from gateway.store.topology import Node

FORGET = Script("gateway.quota", "forget.lua")

EVERY = 5.0  # seconds between calls: one for many scopes
MOST = 500  # in one call


class Told(NamedTuple):
    """The store's time in Unix seconds."""

    now: float


class Forgetting:
    """Of one process. A call that may be on its way a second time is left to its end in the store."""

    def __init__(self) -> None:
        self._done: dict[str, tuple[str, int]] = {}  # by key: the scope's tag, and the number of its last call
        self._told = 0.0

    def note(self, scope: Scope, local: float) -> None:
        """It has nothing of a scope any more, and no call under way."""
        if scope.last and scope.call is None and local >= scope.sure:
            self._done[scope.key] = (scope.tag, scope.last)
            scope.last = 0

    def tell(self, local: float, of: Callable[[str], Node | None], send: Callable[[str, Errand], bool]) -> None:
        """If it is time: a call for each server, or in a cluster for each scope. `of`: who has a tag."""
        if not self._done or (local - self._told < EVERY and len(self._done) < MOST):
            return
        self._told = local
        together: dict[str, dict[str, int]] = {}  # by a tag of those that one call can be about
        first: dict[Node, str] = {}
        for key, (tag, number) in self._done.items():
            node = of(tag)
            if node is not None:
                where = tag if node.tag else first.setdefault(node, tag)
                together.setdefault(where, {})[key] = number
        self._done.clear()
        for tag, calls in together.items():
            names = list(calls)
            for start in range(0, len(names), MOST):
                send(tag, ForgetCall({name: calls[name] for name in names[start : start + MOST]}, local))


class ForgetCall:
    """See Errand. Nothing depends on it: what is not forgotten ends by itself."""

    script = FORGET

    def __init__(self, calls: Mapping[str, int], sent: float) -> None:
        """`calls`: the keys of last calls, and their numbers."""
        self.sent = sent
        self.epoch = 0
        self.tried = False
        self._calls = calls

    def __str__(self) -> str:
        return "calls to be forgotten"

    def begin(self, epoch: int) -> None:
        """See Errand."""
        self.epoch = self.epoch or epoch

    def command(self, seen: float, fence: Fence, outbox: str) -> Command:
        """See Errand."""
        return (len(self._calls), *self._calls, int(seen * MICRO), *self._calls.values())

    def parse(self, answer: bytes) -> Told:
        """See Errand."""
        return Told(int(answer) / MICRO)

    def answered(self, answer: Told) -> None:
        """See Errand."""

    def undone(self) -> None:
        """See Errand."""

    voided = undone
    failed = undone
