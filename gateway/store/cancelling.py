"""Tasks that end when they are told to, whatever a client of the store does with it."""

from __future__ import annotations

import asyncio


def heed_cancellation() -> None:
    """Raises CancelledError where this task is to end: redis-py loses that if it comes while it connects."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
