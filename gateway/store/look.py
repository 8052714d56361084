"""Looking where servers are: one look at a time, shared by all who ask, and not too often."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable


class Look:
    """`look` says whether it learned anything, and does not raise. `every` in seconds is the least time between two."""

    def __init__(self, look: Callable[[], Awaitable[bool]], every: float) -> None:
        self._look = look
        self._every = every
        self._task: asyncio.Task[bool] | None = None
        self._ended = float("-inf")

    async def now(self) -> bool:
        """The look that is under way, or a new one."""
        return await asyncio.shield(self._start())

    def often(self) -> None:
        """Look in the background, if the last one is long enough ago."""
        if asyncio.get_running_loop().time() - self._ended >= self._every:
            self._start()

    async def close(self) -> None:
        """No more looking."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    def _start(self) -> asyncio.Task[bool]:
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._run())
        return self._task

    async def _run(self) -> bool:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(self._ended + self._every - loop.time())
        try:
            return await self._look()
        finally:
            self._ended = loop.time()
