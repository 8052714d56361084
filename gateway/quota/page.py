"""A page of memory that outlives its process: what a worker has leased and used, as its supervisor can still read it.

The worker writes each use before the request goes on. Each counter has a cell: words that change and a text that does
not. A state takes effect by one write of one word, so that a kill between any two leaves one that can be settled.
"""

from __future__ import annotations

import json
import mmap
import os
import struct
from collections.abc import Iterator
from typing import NamedTuple

CELLS = 262_144  # counters at a time; only what is used takes memory
WORDS = 18  # of 8 bytes, in a cell
TEXT = 1_536  # bytes
HEADER = 4_096
WORDS_AT = HEADER
TEXT_AT = HEADER + CELLS * WORDS * 8
PAGE_SIZE = TEXT_AT + CELLS * TEXT

# A cell's words. Units are counted up since the cell was taken. Of the pairs, the bank that DONE names holds.
USED = 0  # out of the lease
APART = 1  # without a lease
DONE = 2  # the last call that was answered, times 2, plus its bank
SENT = 3  # the last call that was sent
SENT_USED = 4  # USED and APART as that call reports them, the units that it returns, its row for this counter
SENT_APART = 5
SENT_BACK = 6
SENT_ROW = 7
LEASED = 8  # and 9: granted, less what was returned
TOLD = 10  # and 11: USED as the store knows it
TOLD_APART = 12  # and 13
SENT_EPOCH = 14  # of the store, at that call
TAKEN = 15  # 1: the cell is in use
OPEN = 16  # of USED and of APART: by requests under way, whose cost is known in the end; the store is not told yet
APART_OPEN = 17

NOTHING = memoryview(bytes(WORDS * 8)).cast("q")

_header = struct.Struct("<q32s")  # the last call's number, the process
_number = struct.Struct("<q")
_length = struct.Struct("<H")


POOL = "pool"  # the first word of a pool's row, in place of a value


class PageFullError(Exception):
    """More counters at a time than a page has cells."""


class Entry(NamedTuple):
    """What a cell's text says: all that a report needs besides units."""

    key: str
    row: tuple[int | str, ...]  # value, start, end, drop; POOL, most, per for a pool
    tail: tuple[str, str]  # bins, about


class Page:
    """A worker's page. `fd`: a memory file of `page_file`; none makes one of its own."""

    def __init__(self, fd: int | None = None) -> None:
        own = page_file() if fd is None else fd
        self._map = mmap.mmap(own, PAGE_SIZE)
        if fd is None:
            os.close(own)
        self._texts = memoryview(self._map)
        self.words = memoryview(self._map)[WORDS_AT:TEXT_AT].cast("q")
        self._free: list[int] = []
        self._next = 0

    def sign(self, process: str) -> None:
        """Say whose page this is."""
        _header.pack_into(self._map, 0, 0, process.encode())

    def sign_number(self, number: int) -> None:
        """Note the last number given to a call, before it is sent."""
        _number.pack_into(self._map, 0, number)

    def take(self, entry: Entry) -> int:
        """A cell for a counter, as the place of its first word. Raises PageFullError."""
        text = json.dumps(entry).encode()
        if len(text) > TEXT - _length.size or (not self._free and self._next >= CELLS):
            raise PageFullError
        if self._free:
            cell = self._free.pop()
        else:
            cell = self._next
            self._next += 1
        place = cell * WORDS
        self.words[place : place + WORDS] = NOTHING
        start = TEXT_AT + cell * TEXT
        _length.pack_into(self._map, start, len(text))
        self._texts[start + _length.size : start + _length.size + len(text)] = text
        self.words[place + TAKEN] = 1
        return place

    def free(self, place: int) -> None:
        """Give a cell back; nothing in it is owed."""
        self.words[place + TAKEN] = 0
        self._free.append(place // WORDS)

    def close(self) -> None:
        """Let go of the memory; the words cannot be used any more."""
        self.words.release()
        self._texts.release()
        self._map.close()


class Legacy(NamedTuple):
    """What a dead process left of one counter. `call` is 0 where no call was under way."""

    entry: Entry
    leased: int
    used: int
    told: int
    apart: int
    told_apart: int
    call: int
    sent_used: int
    sent_apart: int
    sent_back: int
    sent_epoch: int
    row: int

    @property
    def is_pool(self) -> bool:
        """Whether it is what was held of a limit that has no windows."""
        return self.entry.row[0] == POOL


def page_file() -> int:
    """A descriptor of an empty page."""
    fd = os.memfd_create("leases", os.MFD_CLOEXEC)
    os.ftruncate(fd, PAGE_SIZE)
    return fd


def read_page(fd: int) -> tuple[str, int, list[Legacy]]:
    """The process that a page belonged to, the last number of its calls, and what it left."""
    with mmap.mmap(fd, PAGE_SIZE, prot=mmap.PROT_READ) as page:
        number, process = _header.unpack_from(page, 0)
        with memoryview(page) as whole, whole[WORDS_AT:TEXT_AT] as part, part.cast("q") as words:
            left = list(_cells(whole, words, fd))
    return process.rstrip(b"\0").decode(), number, left


def _cells(whole: memoryview, words: memoryview, fd: int) -> Iterator[Legacy]:
    for cell in _written(fd):
        place = cell * WORDS
        if words[place + TAKEN]:
            start = TEXT_AT + cell * TEXT
            (length,) = _length.unpack_from(whole, start)
            key, row, tail = json.loads(bytes(whole[start + _length.size : start + _length.size + length]))
            yield _legacy(Entry(key, tuple(row), tuple(tail)), list(words[place : place + WORDS]))


def _written(fd: int) -> Iterator[int]:
    """The cells that may be in use: the file has holes where none ever was."""
    at, end = WORDS_AT, TEXT_AT
    while at < end:
        try:
            at = os.lseek(fd, at, os.SEEK_DATA)
        except OSError:
            return
        hole = min(os.lseek(fd, at, os.SEEK_HOLE), end)
        yield from range(max(0, (at - WORDS_AT) // (WORDS * 8)), max(0, -(-(hole - WORDS_AT) // (WORDS * 8))))
        at = hole


def _legacy(entry: Entry, words: list[int]) -> Legacy:
    done, bank = divmod(words[DONE], 2)
    return Legacy(
        entry=entry,
        leased=words[LEASED + bank],
        used=words[USED],
        told=words[TOLD + bank],
        apart=words[APART],
        told_apart=words[TOLD_APART + bank],
        call=words[SENT] if words[SENT] > done else 0,
        sent_used=words[SENT_USED],
        sent_apart=words[SENT_APART],
        sent_back=words[SENT_BACK],
        sent_epoch=words[SENT_EPOCH],
        row=words[SENT_ROW],
    )
