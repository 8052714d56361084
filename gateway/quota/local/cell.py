"""A cell: what is spent of one counter, in words of a mapped file; and a report of some."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

PAGE = 4_096  # bytes before the first cell
WORDS = 8  # of 8 bytes, in a cell
# A cell's words; END is a float, a LENGTH of 0 a free cell, CHECK the text's CRC. The store knows SPENT up to REPORTED;
# up to SENDING it may know it, by the report REPORT.
LENGTH, CHECK, END, SPENT, REPORTED, SENDING, REPORT = range(7)


class Cell:
    """What is spent of one counter. `note` is what a report gets back."""

    __slots__ = ("_at", "_words", "end", "note", "scope", "slot")

    def __init__(self, words: memoryview[int], slot: int, scope: str, note: Any, end: float) -> None:
        self._words = words
        self._at = first_word(slot)
        self.slot = slot
        self.scope = scope
        self.note = note
        self.end = end

    @property
    def spent(self) -> int:
        return self._words[self._at + SPENT]

    def spend(self, units: int) -> None:
        self._words[self._at + SPENT] += units

    def give_back(self, units: int) -> None:
        """As many of them as no report has told of."""
        untold = self._words[self._at + SPENT] - self._words[self._at + SENDING]
        self._words[self._at + SPENT] -= min(units, untold)

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

    `lines` are each counter's note, and the units that are new. Until it is `done` it is told again: after a restart
    too, with the same units.
    """

    reporter: str
    number: int
    scope: str
    lines: tuple[tuple[Any, int], ...]
    done: Callable[[], None]


def first_word(slot: int) -> int:
    """Where a cell's words begin, in words."""
    return PAGE // 8 + slot * WORDS
