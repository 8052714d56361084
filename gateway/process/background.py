"""Work beside the rest, until an exit stack unwinds."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from typing import Any

log = logging.getLogger("gateway.supervisor")


def background(stack: AsyncExitStack, work: Coroutine[Any, Any, None]) -> None:
    """Runs `work` until the stack unwinds; its failure is logged at once."""
    task = watched(work)

    async def end() -> None:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError, Exception):
            await task

    stack.push_async_callback(end)


def watched(work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    """A task whose failure is logged at once."""

    def ended(task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a background task failed", exc_info=error)

    task = asyncio.create_task(work)
    task.add_done_callback(ended)
    return task
