"""Random ids in hexadecimal, for requests and their traces."""

from __future__ import annotations

import os

DRAWN = 1024  # bytes asked of the system at a time: for each id alone it would be a call


class Ids:
    """Ids of any length, each digit given out once. All zeros, which W3C's Trace Context forbids, is not to be expected
    in 16 digits, ever."""

    __slots__ = ("_at", "_digits")

    def __init__(self) -> None:
        self._digits = b""
        self._at = 0

    def draw(self, length: int) -> bytes:
        """So many digits, at most 2,048."""
        end = self._at + length
        if end > len(self._digits):
            self._digits = os.urandom(DRAWN).hex().encode()
            self._at, end = 0, length
        digits = self._digits[self._at : end]
        self._at = end
        return digits
