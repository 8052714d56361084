"""What a dispatcher carries, and for whom."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from gateway.store.fence import Fence
from gateway.store.script import Command, Script
from gateway.store.topology import Node


class Told(Protocol):
    """An answer: `now` is the store's time in Unix seconds."""

    @property
    def now(self) -> float: ...


class Errand(Protocol):
    """A call of a script, sent again under the same number if its answer is lost.

    `sent` is the local time at which it was made, `epoch` the store's when it first went out (0: it has not), `tried`
    says that it may have reached the store.
    """

    script: Script
    sent: float
    epoch: int
    tried: bool

    def begin(self, epoch: int) -> None:
        """It goes out, in that epoch of the store; again: nothing changes."""

    def command(self, seen: float, fence: Fence, outbox: str) -> Command:
        """The script's keys and arguments, the number of keys first."""

    def parse(self, answer: bytes) -> Told:
        """What the script answers."""

    def answered(self, answer: Any) -> None:
        """The store has done it."""

    def undone(self) -> None:
        """The store has not done it, and never will."""

    def voided(self) -> None:
        """Nobody will know whether the store has done it."""

    def failed(self) -> None:
        """The store cannot do it, nor another about the same counters."""


class Caller(Protocol):
    """Who has calls to make."""

    def next_calls(self, node: Node, most: int) -> Sequence[Errand]:
        """Calls to a node that are ready, at most so many."""

    def remembered(self, node: Node, fence: Fence) -> Iterable[tuple[Script, Command]]:
        """What a node may have forgotten, as calls that tell it."""
