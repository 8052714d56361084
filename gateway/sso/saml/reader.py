"""Messages are read in threads of their own: it takes milliseconds, and the event loop carries traffic meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from gateway.errors import Unavailable

T = TypeVar("T")

THREADS = 2
MOST = 32  # messages that wait or are read; with more, whoever comes is told to come again
RETRY_AFTER = 1  # seconds


class Reader:
    """Of one provider: a flood of messages slows down sign-ons there, and no more."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(THREADS, "saml")
        self._under_way = 0
        self._closed = False

    async def run(self, work: Callable[[], T]) -> T:
        """What the work returns or raises. Raises Unavailable where too much is under way, or it is closed."""
        if self._under_way >= MOST or self._closed:
            raise Unavailable("too many people sign in at once", code="sign_in_busy", retry_after=RETRY_AFTER)
        self._under_way += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._under_way -= 1

    def close(self) -> None:
        """Its threads end; whoever comes all the same is told to come again, to the one that is used now."""
        self._closed = True
        self._threads.shutdown(wait=False, cancel_futures=True)
