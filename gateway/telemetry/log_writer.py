"""Log lines to a file descriptor that may be slow, full or closed, without ever stalling the caller.

A thread does the writing: making stdout non-blocking would change it for every process that shares it, and asking
first whether it is writable cannot help when several processes write. Room is bounded; what does not fit or
cannot be written is dropped, counted, and reported by a gap line where the lines would have been.
"""

from __future__ import annotations

import json
import os
import select
import stat
import time
from collections.abc import Iterator
from queue import SimpleQueue
from threading import Thread

PIPE_BUF = select.PIPE_BUF  # a write of at most so many bytes is not mixed with others' (POSIX write)
STDOUT, STDERR = 1, 2
FILE_CHUNK = 65_536
ROOM = 4 * 1024 * 1024


class LogWriter:
    """Whole lines in, to `fd` in order. `room` bounds the bytes that wait."""

    def __init__(self, fd: int, room: int = ROOM) -> None:
        self._fd = fd
        self._room = room
        self._chunk = FILE_CHUNK if stat.S_ISREG(os.fstat(fd).st_mode) else PIPE_BUF
        self._queue: SimpleQueue[tuple[int, bytes] | None] = SimpleQueue()
        self._accepted = self._finished = 0  # bytes; the first is the caller's, the second the thread's
        self._refused = self._failed = 0  # lines; likewise
        self._refused_told = 0
        self._unreported = 0
        self._thread = Thread(target=self._run, name="log-writer", daemon=True)
        self._thread.start()

    @property
    def dropped(self) -> int:
        """Lines lost since the start."""
        return self._refused + self._failed

    def write(self, lines: bytes) -> None:
        """Queue whole lines; never blocks, never raises. From one thread."""
        if self._accepted - self._finished + len(lines) > self._room:
            self._refused += lines.count(b"\n")
            return
        self._accepted += len(lines)
        self._queue.put((self._refused - self._refused_told, lines))
        self._refused_told = self._refused

    def close(self, timeout: float = 1.0) -> None:
        """Write what waits, for at most `timeout` seconds. The descriptor stays open."""
        self._queue.put((self._refused - self._refused_told, b""))
        self._refused_told = self._refused
        self._queue.put(None)
        self._thread.join(timeout)

    def _run(self) -> None:
        while (item := self._queue.get()) is not None:
            refused, lines = item
            self._unreported += refused
            self._put(lines)
            self._finished += len(lines)

    def _put(self, lines: bytes) -> None:
        lost = lines.count(b"\n")
        try:
            if self._unreported:
                write_all(self._fd, gap(self._unreported))
                self._unreported = 0
            for chunk in chunks(lines, self._chunk):
                write_all(self._fd, chunk)
                lost -= chunk.count(b"\n")
        except OSError:  # EPIPE, ENOSPC, EIO: the log must not take the gateway along
            self._failed += lost
            self._unreported += lost


def gap(lines: int) -> bytes:
    """The line that stands for `lines` lost ones."""
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return json.dumps({"time": stamp, "reason": "log_gap", "dropped": lines}).encode() + b"\n"


def chunks(lines: bytes, size: int) -> Iterator[bytes]:
    """`lines` in pieces of whole lines; a piece is longer than `size` only where one line is."""
    start = 0
    while len(lines) - start > size:
        end = lines.rfind(b"\n", start, start + size) + 1 or lines.find(b"\n", start) + 1 or len(lines)
        yield lines[start:end]
        start = end
    if start < len(lines):
        yield lines[start:]


def write_all(fd: int, data: bytes) -> None:
    """Write all of `data`; waits where another owner of the descriptor made it non-blocking. Raises OSError."""
    while data:
        try:
            data = data[os.write(fd, data) :]
        except BlockingIOError:
            poll = select.poll()
            poll.register(fd, select.POLLOUT)
            poll.poll()
