"""Heads that clients repeat: what equals one that was read, byte for byte from its second line on, means the same.

A worker's connections share them, so that clients whose requests take turns on a connection, as behind a balancer, are
not read anew each time.
"""

from __future__ import annotations

from typing import NamedTuple

from gateway.http.fields import Fields

MOST_BYTES = 2 * 1024 * 1024  # of heads; what is kept of them takes some four times as much


class Repeat(NamedTuple):
    """What a head means from its second line on, and that block; nothing of who sent it. Changed by none."""

    block: bytes
    host: bytes
    joined: bytes  # the fields that the service gets
    fields: Fields
    hosts: list[bytes]
    authorization: list[bytes]
    own_cookies: tuple[bytes, ...]
    sent_id: bytes | None
    sent_trace: bytes | None


class Repeats:
    """Bounded; the oldest makes room."""

    def __init__(self, most: int = MOST_BYTES) -> None:
        self._most = most
        self._known: dict[bytes, Repeat] = {}
        self._bytes = 0
        self.get = self._known.get

    def put(self, repeat: Repeat) -> None:
        """Remembers a head that is not known yet."""
        known, block = self._known, repeat.block
        if block in known:
            return
        self._bytes += len(block)
        while known and self._bytes > self._most:
            oldest = next(iter(known))
            del known[oldest]
            self._bytes -= len(oldest)
        known[block] = repeat

    def clear(self) -> None:
        """Forgets all: heads are judged by other limits from now on."""
        self._known.clear()
        self._bytes = 0
