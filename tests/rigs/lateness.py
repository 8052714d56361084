"""How late processes get their turn on a machine that is busy: what a promise in milliseconds is measured beside."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress

TICK = 0.005  # seconds
TURNS = 5  # of processes in one answer: the client's, the gateway's and its timer's, there and back


class Lateness:
    """While it is entered: `most` seconds that this process's turn came late. Others' may have been as late."""

    def __init__(self) -> None:
        self.most = 0.0
        self._task: asyncio.Task[None] | None = None

    @property
    def of_an_answer(self) -> float:
        """Seconds by which an answer may be late for want of turns alone."""
        return TURNS * self.most

    async def __aenter__(self) -> Lateness:
        self._task = asyncio.create_task(self._look())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._task is not None
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    async def _look(self) -> None:
        while True:
            before = time.monotonic()
            await asyncio.sleep(TICK)
            self.most = max(self.most, time.monotonic() - before - TICK)
