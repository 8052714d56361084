"""Connections to a server on paper, as it sees them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

Command = Sequence[str | bytes | int]


@dataclass(eq=False)
class Session:
    """A connection as the server sees it: to which life of it, and how far its writes go."""

    life: int
    process: str = ""
    written: int = 0
    unheard: list[Touch] = field(default_factory=list)  # in calls whose answers have not arrived


@dataclass(eq=False)
class Touch:
    """A process's call about a counter: by how many units `spent` and `held` grew together, and whether it heard."""

    process: str
    key: str
    at: float
    growth: int
    heard: bool = False


@dataclass(eq=False)
class Waiter:
    """A WAIT: `reply` hears how many replicas have everything up to `offset`."""

    offset: int
    replicas: int
    reply: Callable[[int], None] | None


def encoded(command: Command) -> tuple[bytes, ...]:
    """As it goes over the wire."""
    return tuple(
        part if isinstance(part, bytes) else part.encode() if isinstance(part, str) else b"%d" % part
        for part in command
    )
