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
from collections.abc import Iterator
from math import inf
from pathlib import Path
from typing import Any, NamedTuple

CELLS = 8_192  # counters at a time
SIZE = 2_048  # bytes of a cell, a part of a page; the header is as large
WORDS = SIZE // 8
TEXT = 64  # bytes of a cell before its text
MAGIC = 0x706C616E67617465
LINES = 100  # of a report

# the header's words
FORMAT, STAMP, FILE, NUMBER, FORGOTTEN = range(5)
# a cell's words; END is a float. SPENT up to REPORTED is known to the store, up to SENDING it may be, by report REPORT
LENGTH, END, SPENT, REPORTED, SENDING, REPORT = range(6)

log = logging.getLogger(__name__)


class Cell:
    """What is spent of one counter. `note` is what a report gets back."""

    __slots__ = ("_at", "_words", "end", "note", "scope")

    def __init__(self, words: memoryview, at: int, scope: str, note: Any, end: float) -> None:
        self._words = words
        self._at = at
        self.scope = scope
        self.note = note
        self.end = end

    @property
    def slot(self) -> int:
        return self._at // WORDS - 1

    @property
    def spent(self) -> int:
        return self._words[self._at + SPENT]

    def spend(self, units: int) -> None:
        self._words[self._at + SPENT] += units

    @property
    def owed(self) -> int:
        """Units that the store may not know."""
        return self._words[self._at + SPENT] - self._words[self._at + REPORTED]

    @property
    def sending(self) -> int:
        """Units in the report that is under way."""
        return self._words[self._at + SENDING] - self._words[self._at + REPORTED]

    @property
    def report(self) -> int:
        """The number of that report, or of the last."""
        return self._words[self._at + REPORT]

    def send(self, report: int) -> None:
        self._words[self._at + REPORT] = report
        self._words[self._at + SENDING] = self._words[self._at + SPENT]

    def sent(self) -> None:
        self._words[self._at + REPORTED] = self._words[self._at + SENDING]


class Report(NamedTuple):
    """What was spent in a scope, to be told to the store once under (`reporter`, `number`); numbers rise.

    Until it is `done` it is told again: after a restart too, with the same units.
    """

    reporter: str
    number: int
    scope: str
    cells: tuple[Cell, ...]

    @property
    def lines(self) -> tuple[tuple[Any, int], ...]:
        """Each counter's note, and the units that are new."""
        return tuple((cell.note, cell.sending) for cell in self.cells)

    def done(self) -> None:
        """The store knows it."""
        for cell in self.cells:
            cell.sent()


class Cells:
    """The file of one worker, for one process at a time; raises OSError where it is another's.

    A counter whose window ends at `forgotten` or before may have been in it and is not any more.
    """

    def __init__(self, path: Path, boot: str) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._map = mmap.mmap(self._file, (1 + CELLS) * SIZE)
        except BaseException:
            os.close(self._file)
            raise
        self._bytes = memoryview(self._map)
        self._words = self._bytes.cast("Q")
        self._floats = self._bytes.cast("d")
        self._free = list(range(CELLS - 1, -1, -1))
        self._full_until = -inf
        self._full = False
        self.reporter = f"{self._words[FILE]:016x}{boot.replace('-', '')}"
        self.forgotten: float = self._floats[FORGOTTEN]
        self.by_key: dict[str, Cell] = {}
        self._read()

    def _read(self) -> None:
        self._free = []
        for slot in range(CELLS - 1, -1, -1):
            at = (1 + slot) * WORDS
            try:
                key, scope, note = json.loads(self._text(at)[: self._words[at + LENGTH]].tobytes())
            except ValueError:  # free, or torn by a machine's crash
                self._free.append(slot)
            else:
                self.by_key[key] = Cell(self._words, at, scope, note, self._floats[at + END])

    def _text(self, at: int) -> memoryview:
        return self._bytes[at * 8 + TEXT : at * 8 + SIZE]

    def add(self, key: str, scope: str, note: Any, start: float, end: float) -> Cell | None:
        """A cell for a counter that has none; None, and a warning, where there is no room for it."""
        text = json.dumps((key, scope, note)).encode()
        if len(text) > SIZE - TEXT:
            self._warn("a counter's name is too long for a cell")
            return None
        if not self._free and not self._make_room(start):
            self._warn(f"all {CELLS} cells are in use")
            return None
        self._full = False
        slot = self._free.pop()
        at = (1 + slot) * WORDS
        self._words[at + LENGTH] = 0
        self._floats[at + END] = end
        for word in (SPENT, REPORTED, SENDING, REPORT):
            self._words[at + word] = 0
        self._text(at)[: len(text)] = text
        self._words[at + LENGTH] = len(text)
        cell = self.by_key[key] = Cell(self._words, at, scope, note, end)
        return cell

    def _warn(self, why: str) -> None:
        if not self._full:
            log.warning("requests are refused that a local share could let in: %s", why)
        self._full = True

    def _make_room(self, now: float) -> bool:
        """Forget windows that are over at `now`: those that are reported, else all."""
        if now < self._full_until:
            return False
        over = {key: cell for key, cell in self.by_key.items() if cell.end <= now}
        told = {key: cell for key, cell in over.items() if not cell.owed}
        if over and not told:
            units = sum(cell.owed for cell in over.values())
            log.warning("%d units of %d windows that are over will not be reported: no cells are left", units, len(over))
        for key, cell in (told or over).items():
            self._forget(key, cell)
        self._full_until = min((cell.end for cell in self.by_key.values()), default=-inf)
        return bool(over)

    def _forget(self, key: str, cell: Cell) -> None:
        if cell.end > self.forgotten:
            self.forgotten = self._floats[FORGOTTEN] = cell.end
        del self.by_key[key]
        self._words[(1 + cell.slot) * WORDS + LENGTH] = 0
        self._free.append(cell.slot)

    def reports(self) -> Iterator[Report]:
        """What the store does not know: in each scope what was under way, else the next."""
        owed: dict[str, list[Cell]] = {}
        for cell in self.by_key.values():
            if cell.owed:
                owed.setdefault(cell.scope, []).append(cell)
        for scope, cells in owed.items():
            under_way = min((cell.report for cell in cells if cell.sending), default=None)
            if under_way is None:
                under_way = self._words[NUMBER] = self._words[NUMBER] + 1
                for cell in cells[:LINES]:
                    cell.send(under_way)
            these = tuple(cell for cell in cells if cell.sending and cell.report == under_way)
            yield Report(self.reporter, under_way, scope, these)

    def close(self) -> None:
        """Leave the file to others; cells cannot be used any more."""
        self._floats.release()
        self._words.release()
        self._bytes.release()
        self._map.close()
        os.close(self._file)


def stamp_of(path: Path) -> int | None:
    """The record that a file of cells belongs to; None where it is not one."""
    try:
        with path.open("rb", buffering=0) as file:
            header = memoryview(file.read(SIZE)).cast("Q")
            whole = os.fstat(file.fileno()).st_size == (1 + CELLS) * SIZE
    except (OSError, TypeError):  # TypeError: too short
        return None
    return header[STAMP] if whole and header[FORMAT] == MAGIC else None


def stamp(path: Path, record: int) -> None:
    """Make a file of cells belong to a record; it is made where there is none. What it holds stays. Raises OSError."""
    if stamp_of(path) is None:
        _make(path)
    with path.open("r+b", buffering=0) as file:
        os.pwrite(file.fileno(), record.to_bytes(8, "little" if _LITTLE else "big"), STAMP * 8)
