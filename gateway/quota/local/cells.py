"""A mapped file in which a worker notes what it spends while the store is away.

It outlives the process, whatever ends it: each change takes effect by one write of one word, and those that nothing
may come between are in an order in which a kill leaves nothing spent unseen. A machine's crash it may not outlive;
then it is not used any more (see record.py).
"""

from __future__ import annotations

import fcntl
import json
import logging
import mmap
import os
import secrets
import struct
from collections.abc import Iterator
from functools import partial
from io import FileIO
from math import inf
from pathlib import Path
from typing import Any
from zlib import crc32

from gateway.quota.local.cell import (
    CHECK,
    END,
    LENGTH,
    PAGE,
    REPORT,
    REPORTED,
    SENDING,
    SPENT,
    WORDS,
    Cell,
    Report,
    first_word,
)

CELLS = 8_192  # counters at a time
LINES = 100  # of a report
MAGIC = int.from_bytes(b"shares 1", "big")

# First a page with the header's words, then each cell's words, then each cell's text.
TEXT = 2_048
TEXTS_AT = PAGE + CELLS * WORDS * 8
FILE_SIZE = TEXTS_AT + CELLS * TEXT

# The header's words; FORGOTTEN is a float.
FORMAT, STAMP, FILE, NUMBER, FORGOTTEN = range(5)

log = logging.getLogger(__name__)


class BusyError(OSError):
    """A file of cells is another process's."""


class Cells:
    """The file of one worker, for one process at a time. Raises BusyError, or another OSError.

    A counter whose window ends at `forgotten` or before may have been in it and is not any more.
    """

    def __init__(self, path: Path, boot: str) -> None:
        self._file = path.open("r+b", buffering=0)
        try:
            _lock(self._file, path)
            self._map = mmap.mmap(self._file.fileno(), FILE_SIZE)
        except BaseException:
            self._file.close()
            raise
        self._bytes = memoryview(self._map)
        self._words = self._bytes.cast("Q")
        self._floats = self._bytes.cast("d")
        self._said: set[str] = set()
        self._full_until = -inf
        self.reporter = f"{self._words[FILE]:016x}{boot.replace('-', '')}"
        self.forgotten = self._floats[FORGOTTEN]
        self.by_key: dict[str, Cell] = {}
        self._free: list[int] = []
        for slot in range(CELLS - 1, -1, -1):
            self._read(slot)

    def _read(self, slot: int) -> None:
        at = first_word(slot)
        length = self._words[at + LENGTH]
        text = self._text(slot)[:length]
        if length and self._words[at + CHECK] == crc32(text):
            key, scope, note = json.loads(text.tobytes())
            self.by_key[key] = Cell(self._words, slot, scope, note, self._floats[at + END])
        else:  # free, or torn by a machine's crash
            self._words[at + LENGTH] = 0
            self._free.append(slot)

    def _text(self, slot: int) -> memoryview[int]:
        return self._bytes[TEXTS_AT + slot * TEXT : TEXTS_AT + (slot + 1) * TEXT]

    def add(self, key: str, scope: str, note: Any, start: float, end: float) -> Cell | None:
        """A cell for a counter that has none; None, and a warning, where there is no room for it."""
        text = json.dumps((key, scope, note)).encode()
        if len(text) > TEXT:
            self._refuse("what names a counter is too long")
            return None
        if not self._free and not self._make_room(start):
            self._refuse(f"all {CELLS} cells are in use")
            return None
        slot = self._free.pop()
        at = first_word(slot)
        for word in (SPENT, REPORTED, SENDING, REPORT):
            self._words[at + word] = 0
        self._floats[at + END] = end
        self._text(slot)[: len(text)] = text
        self._words[at + CHECK] = crc32(text)
        self._words[at + LENGTH] = len(text)  # now it is taken
        cell = self.by_key[key] = Cell(self._words, slot, scope, note, end)
        return cell

    def _refuse(self, why: str) -> None:
        if why not in self._said:
            log.warning("requests are refused that a local share might let in: %s", why)
        self._said.add(why)

    def _make_room(self, now: float) -> bool:
        """Forget windows that are over: those that are reported, else all that no report is under way for."""
        if now < self._full_until:
            return False
        over = {key: cell for key, cell in self.by_key.items() if cell.end <= now and not cell.sending}
        told = {key: cell for key, cell in over.items() if not cell.owed}
        if over and not told:
            units = sum(cell.owed for cell in over.values())
            log.warning("%d units of %d windows that are over will not be reported: no cell is free", units, len(over))
        for key, cell in (told or over).items():
            self._forget(key, cell)
        self._full_until = min((cell.end for cell in self.by_key.values()), default=-inf)
        return bool(over)

    def _forget(self, key: str, cell: Cell) -> None:
        if cell.end > self.forgotten:
            self.forgotten = self._floats[FORGOTTEN] = cell.end
        self._words[first_word(cell.slot) + LENGTH] = 0
        self._free.append(cell.slot)
        del self.by_key[key]

    def reports(self) -> Iterator[Report]:
        """What the store does not know: in each scope what was under way, else the next."""
        self._said.clear()
        owed: dict[str, list[Cell]] = {}
        for cell in self.by_key.values():
            if cell.owed:
                owed.setdefault(cell.scope, []).append(cell)
        for scope, cells in owed.items():
            number = next((cell.report for cell in cells if cell.sending), 0)
            if not number:
                number = self._words[NUMBER] = self._words[NUMBER] + 1
                for cell in cells[:LINES]:
                    cell.send(number)
            sending = [cell for cell in cells if cell.sending]
            lines = tuple((cell.note, cell.sending) for cell in sending)
            yield Report(self.reporter, number, scope, lines, partial(self._told, sending))

    def _told(self, sending: list[Cell]) -> None:
        """The store knows it. Not noted once the file is closed: who opens it tells it again, under the same number."""
        if not self._file.closed:
            for cell in sending:
                cell.sent()

    def close(self) -> None:
        """Leave the file to others; its cells cannot be used any more."""
        self._floats.release()
        self._words.release()
        self._bytes.release()
        self._map.close()
        self._file.close()


def _lock(file: FileIO, path: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise BusyError(f"another process uses {path}") from error


def require_unused(path: Path) -> None:
    """Raises BusyError where a process has a file of cells open."""
    with path.open("rb", buffering=0) as file:
        _lock(file, path)


def stamp_of(path: Path) -> int | None:
    """The record that a file of cells belongs to; None where it is no such file."""
    try:
        with path.open("rb") as file:
            magic, record = _header.unpack(file.read(_header.size))
            size = os.fstat(file.fileno()).st_size
    except (OSError, struct.error):
        return None
    return record if (magic, size) == (MAGIC, FILE_SIZE) else None


def stamp(path: Path, record: int) -> None:
    """Make a file of cells belong to a record, keeping what it holds; made where there is none. Raises OSError."""
    if stamp_of(path) is None:
        _make(path)
    with path.open("r+b", buffering=0) as file:
        file.write(_header.pack(MAGIC, record))


def _make(path: Path) -> None:
    new = path.with_suffix(".new")
    with new.open("wb", buffering=0) as file:
        os.posix_fallocate(file.fileno(), 0, FILE_SIZE)  # a full disk is told now: later it would kill
        file.write(struct.pack("@3Q", MAGIC, 0, secrets.randbits(64)))
    new.chmod(0o600)
    new.replace(path)


_header = struct.Struct("@2Q")
