"""Alerts that were raised and not yet delivered."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable
from typing import NamedTuple, Protocol

from gateway.model import Alert


class Again(NamedTuple):
    """The channels that are to get an alert after all, and since when (Unix seconds)."""

    to: tuple[str, ...]
    since: float


class Entry(NamedTuple):
    """An alert, and its place in the outbox. `again`: it was given up or stopped, and somebody wants it sent again."""

    id: str
    alert: Alert
    again: Again | None = None


class Outbox(Protocol):
    """At least once: what was read and not `done` is read again after a restart, here or by another gateway."""

    async def read(self, count: int, block_seconds: float) -> list[Entry]:
        """Up to `count` entries; waits up to `block_seconds` for the first. Does not raise for a store that is away."""

    async def keep(self, entry_ids: Iterable[str]) -> None:
        """Say that these are still being delivered, so that no other gateway takes them over."""

    async def done(self, entry_id: str) -> None:
        """Remove an entry: it was delivered, or given up."""

    async def send_again(self, alert: Alert, again: Again | None = None) -> None:
        """Add an entry; a new one without `again`. Raises RedisError, StoreError or OSError where the store is away."""


class MemoryOutbox:
    """The outbox of the `memory` store: gone with the process."""

    def __init__(self) -> None:
        self._waiting: deque[Entry] = deque()
        self._pushed = asyncio.Event()
        self._count = 0

    def push(self, alert: Alert, again: Again | None = None) -> None:
        """Add an alert."""
        self._count += 1
        self._waiting.append(Entry(str(self._count), alert, again))
        self._pushed.set()

    async def read(self, count: int, block_seconds: float) -> list[Entry]:
        """See Outbox."""
        if not self._waiting:
            self._pushed.clear()
            try:
                async with asyncio.timeout(block_seconds):
                    await self._pushed.wait()
            except TimeoutError:
                return []
        return [self._waiting.popleft() for _ in range(min(count, len(self._waiting)))]

    async def keep(self, entry_ids: Iterable[str]) -> None:
        """See Outbox; nobody else reads this one."""

    async def done(self, entry_id: str) -> None:
        """See Outbox; what is read has left already."""

    async def send_again(self, alert: Alert, again: Again | None = None) -> None:
        """See Outbox."""
        self.push(alert, again)
