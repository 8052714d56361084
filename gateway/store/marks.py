"""Marks: small facts that every process of all gateways knows within a second, and reads without asking anybody.

What was revoked, from when on something is valid, who is suspended. They are as durable as the store; while it is away
the last known ones hold, and a store that has lost them is told them again by those who know them.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

MICRO = 1_000_000
MOST = 100_000  # marks at a time
DAY = 86_400  # seconds for which it is known that a mark was cleared

Heard = Callable[[str, str, "Mark | None"], None]


class Mark(NamedTuple):
    """`since` and `until` in Unix seconds, the first by the store's clock; None: for good."""

    value: str
    since: float
    until: float | None = None


class Row(NamedTuple):
    """A mark as it is kept. `stamp` in microseconds: of two of one name the later holds. `value` None: cleared."""

    kind: str
    name: str
    stamp: int
    value: str | None
    until: float | None

    @property
    def field(self) -> str:
        """What it is called in the store."""
        return f"{self.kind} {self.name}"

    def text(self) -> str:
        """All but name and stamp."""
        return json.dumps([self.value, self.until])

    def ended(self, now: float) -> bool:
        """Whether it does not matter any more."""
        return self.until is not None and self.until <= now

    @classmethod
    def parse(cls, field: str, packed: str) -> Row:
        """Raises ValueError or TypeError for what is none."""
        kind, _, name = field.partition(" ")
        stamp, _, text = packed.partition(" ")
        value, until = json.loads(text)
        if not (value is None or isinstance(value, str)):
            raise TypeError("a mark's value is text")
        return cls(kind, name, int(stamp), value, None if until is None else float(until))


class Marks(ABC):
    """Those that this process knows. A kind is a word of the code; a name any text, a secret only as its digest.

    `clock` gives Unix seconds. Until `known` it has not heard yet which there are: what depends on a mark that is not
    there had better wait.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.known = False
        self.version = 0  # rises with each change
        self.rows: dict[tuple[str, str], Row] = {}
        self._clock = clock
        self._marks: dict[tuple[str, str], Mark] = {}
        self._watchers: list[Heard] = []

    def get(self, kind: str, name: str) -> Mark | None:
        """None where there is none, or it has ended."""
        mark = self._marks.get((kind, name))
        return None if mark is None or (mark.until is not None and mark.until <= self._clock()) else mark

    def listed(self, kind: str) -> Mapping[str, Mark]:
        """All of a kind, by name."""
        now = self._clock()
        found = ((name, mark) for (of, name), mark in self._marks.items() if of == kind)
        return {name: mark for name, mark in found if mark.until is None or mark.until > now}

    def watch(self, heard: Heard) -> None:
        """`heard` is called with kind, name and mark (None: cleared) of each change, of this process and of others; not
        when a mark ends by its time.
        """
        self._watchers.append(heard)

    async def set(self, kind: str, name: str, value: str = "", until: float | None = None) -> Mark:
        """Known here when it returns, and in all processes within a second. Raises StoreError: it may be set or not."""
        row = await self._write(Row(kind, name, 0, value, until))
        self.apply([row])
        return Mark(value, row.stamp / MICRO, until)

    async def clear(self, kind: str, name: str) -> None:
        """There is no such mark any more. Raises StoreError, as `set`."""
        self.apply([await self._write(Row(kind, name, 0, None, self._clock() + DAY))])

    def apply(self, rows: Iterable[Row]) -> None:
        """Take over what was heard, where it is news."""
        for row in rows:
            where = row.kind, row.name
            before = self.rows.get(where)
            if before is None or before.stamp < row.stamp:
                self.rows[where] = row
                self._change(row)

    def forget(self, rows: Iterable[Row]) -> None:
        """Take out what is no mark any more."""
        for row in list(rows):
            if self.rows.pop((row.kind, row.name), None) is not None and (row.kind, row.name) in self._marks:
                self._change(row._replace(value=None))

    def sweep(self) -> None:
        """Let go of what has ended."""
        now = self._clock()
        self.forget([row for row in self.rows.values() if row.ended(now)])

    def _change(self, row: Row) -> None:
        mark = None if row.value is None else Mark(row.value, row.stamp / MICRO, row.until)
        if mark is None:
            self._marks.pop((row.kind, row.name), None)
        else:
            self._marks[row.kind, row.name] = mark
        self.version += 1
        for heard in self._watchers:
            heard(row.kind, row.name, mark)

    @abstractmethod
    async def _write(self, row: Row) -> Row:
        """Keep it; gives it with its stamp."""


class MemoryMarks(Marks):
    """For `store: memory`. `tell` hears of each that is set here, for the other process of this gateway."""

    def __init__(self, clock: Callable[[], float], tell: Callable[[Row], None]) -> None:
        super().__init__(clock)
        self.known = True
        self._tell = tell
        self._latest = 0

    async def _write(self, row: Row) -> Row:
        self._latest = max(int(self._clock() * MICRO), self._latest + 1, *(row.stamp + 1 for row in self._same(row)))
        row = row._replace(stamp=self._latest)
        self._tell(row)
        return row

    def _same(self, row: Row) -> list[Row]:
        known = self.rows.get((row.kind, row.name))
        return [] if known is None else [known]
