"""Whose turn it is, where tests run beside each other: some need the machine for themselves."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Turns:
    """Of one process among those that run tests. The locks are of folders, and end with the process."""

    def __init__(self) -> None:
        here = Path(__file__).parent
        self._door = os.open(here.parent, os.O_RDONLY)
        self._room = os.open(here, os.O_RDONLY)

    @contextmanager
    def taken(self, *, alone: bool) -> Iterator[None]:
        """Beside others that are not `alone`. Who waits at the door is next, so that nobody waits for ever."""
        fcntl.flock(self._door, fcntl.LOCK_EX)
        try:
            fcntl.flock(self._room, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        finally:
            fcntl.flock(self._door, fcntl.LOCK_UN)
        try:
            yield
        finally:
            fcntl.flock(self._room, fcntl.LOCK_UN)
