"""Ends each wait in time. All wait equally long, so the first to come is the first to go: one timer serves all."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar


class Waiting(Protocol):
    deadline: float

    @property
    def done(self) -> object | None:
        """None: no longer waits."""


W = TypeVar("W", bound=Waiting)


class Deadlines(Generic[W]):
    """Calls `expire` for each entry that still waits at its deadline (the loop's time)."""

    def __init__(self, expire: Callable[[W], None]) -> None:
        self._expire = expire
        self._queue: deque[W] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def add(self, entry: W) -> None:
        """Deadlines must not decrease from one entry to the next."""
        self._queue.append(entry)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_at(entry.deadline, self._ring)

    def expire_all(self) -> None:
        """End every wait now."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._queue:
            self._end(self._queue.popleft())

    def _ring(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        queue = self._queue
        while queue and (queue[0].done is None or queue[0].deadline <= now):
            self._end(queue.popleft())
        self._timer = loop.call_at(queue[0].deadline, self._ring) if queue else None

    def _end(self, entry: W) -> None:
        if entry.done is not None:
            self._expire(entry)
