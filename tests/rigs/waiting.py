"""Waiting for what must come, in place of sleeping until it has."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Callable
from typing import Any

PATIENCE = 40.0  # seconds until it is given up
POLL = 0.05


async def until(check: Callable[[], Any], what: str = "", seconds: float = PATIENCE) -> Any:
    """What `check` gives (or gives to an await), once that is true."""
    deadline = time.monotonic() + seconds
    while True:
        found = check()
        if inspect.isawaitable(found):
            found = await found
        if found:
            return found
        assert time.monotonic() < deadline, f"waited in vain for {what or inspect.getsource(check).strip()}"
        await asyncio.sleep(POLL)
