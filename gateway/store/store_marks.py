"""Marks in Redis or Valkey: asked for changes all the time, told again what the store may have forgotten."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from gateway.store import StoreAway, StoreError, keys
from gateway.store.lines import Line, Lines
from gateway.store.marks import DAY, MICRO, MOST, Marks, Row
from gateway.store.script import Command, Script

EVERY = 0.7  # seconds between looks at most: all know of a mark within a second
SWEEP = 60.0  # seconds between looks at what has ended here
CHUNK = 200  # marks told in one call

READ = Script("gateway.store", "marks.lua")
WRITE = Script("gateway.store", "mark.lua")

log = logging.getLogger(__name__)


class Seen(NamedTuple):
    """How far the store was read: version, life, and how many marks it had; see marks.lua."""

    version: int = 0
    life: int = 0
    number: int = 0


class Told(NamedTuple):
    """An answer: of which run of the server, how far it goes, whether it is all that there is, and the marks."""

    run: str
    seen: Seen
    whole: bool
    rows: list[Row]


class StoreMarks(Marks):
    """See Marks. `look` at the start, and have `run` going, which looks after `every` seconds at most."""

    def __init__(
        self,
        lines: Lines,
        prefix: str,
        clock: Callable[[], float],
        every: float = EVERY,
    ) -> None:
        super().__init__(clock)
        self.seen = Seen()
        self.rubbish = 0  # entries of the latest answer that are no marks
        self._lines = lines
        self._facts, self._order, self._ends = (keys.marks(prefix, part) for part in ("facts", "order", "ends"))
        self._run = ""  # of the server that was told all that is known here
        self._every = every
        self._swept = clock()

    @property
    def place(self) -> str:
        """The key that they are kept under."""
        return self._facts

    def remember(self, seen: Seen, rows: Iterable[Row]) -> None:
        """Begin with what was known before this process."""
        self.seen = seen
        self.apply(rows)
        self.known = True

    async def look(self) -> bool:
        """Ask for changes; whether the store answered."""
        try:
            told = await self._lines.at(keys.MARKS, self._read)
            untold = self._untold(told) if told.whole else []
            self.apply(told.rows)
            self.known = True
            await self._tell(untold)
            self.seen, self._run = told.seen, told.run
        except StoreError as error:
            log.debug("the marks cannot be read: %s", error)
            return False
        return True

    async def run(self) -> None:
        """Look on, for good."""
        while True:
            await asyncio.sleep(self._every * random.uniform(0.75, 1.0))  # noqa: S311 - so that not all ask in step
            try:
                await self.look()
            except Exception:  # the next look may do
                log.exception("what the store tells of marks cannot be taken over")
            if self._clock() - self._swept > SWEEP:
                self._swept = self._clock()
                self.sweep()

    async def _write(self, row: Row) -> Row:
        async def work(line: Line) -> bytes:
            answer: bytes = await line.write_by(WRITE, self._call([row]))
            return answer

        return row._replace(stamp=int(await self._lines.at(keys.MARKS, work)))

    def _call(self, rows: Sequence[Row]) -> Command:
        words: list[str | bytes | int] = []
        for row in rows:
            end = "" if row.until is None else int(row.until * MICRO)
            words += (row.field.encode("utf-8", "surrogatepass"), row.stamp or "", end, row.text())
        return (3, self._facts, self._order, self._ends, self.seen.version, MOST, *words)

    async def _read(self, line: Line) -> Told:
        told = await self._ask(line, compare=line.run != self._run)
        if not told.whole and self.seen.version and told.seen.life != self.seen.life:  # it has begun anew, unseen
            told = await self._ask(line, compare=True)
        return told

    async def _ask(self, line: Line, *, compare: bool) -> Told:
        """What has changed; with `compare` all, unless it is surely as it was."""
        call = (2, self._facts, self._order, self.seen.version, int(compare), self.seen.number)
        head, number, whole, *pairs = await line.call(READ, call)
        version, life = map(int, head.split())
        rows = [row for row in map(parsed, pairs[::2], pairs[1::2]) if row is not None]
        self.rubbish = len(pairs) // 2 - len(rows)
        return Told(line.run, Seen(version, life, number), bool(whole), rows)

    def _untold(self, told: Told) -> list[Row]:
        """What the store has forgotten. What it lacks for a day, having lost nothing, was cleared meanwhile."""
        now = self._clock()
        lost = told.seen.life != self.seen.life or told.seen.version < self.seen.version
        there = {(row.kind, row.name): row.stamp for row in told.rows}
        lacking = [row for where, row in self.rows.items() if there.get(where, 0) < row.stamp and not row.ended(now)]
        untold = [row for row in lacking if lost or row.stamp > (now - DAY) * MICRO]
        self.forget(set(lacking) - set(untold))
        return untold

    async def _tell(self, rows: Sequence[Row]) -> None:
        """What fails is told at the next look."""
        if rows:
            log.warning("the store has forgotten %d marks: it is told them again", len(rows))
        for start in range(0, len(rows), CHUNK):
            call = self._call(rows[start : start + CHUNK])
            await self._lines.at(keys.MARKS, lambda line, call=call: line.write_by(WRITE, call))  # type: ignore[misc]


def parsed(field: bytes, packed: bytes | None) -> Row | None:
    """None for what no gateway has written."""
    try:
        return Row.parse(field.decode("utf-8", "surrogatepass"), (packed or b"").decode())
    except (ValueError, TypeError):
        log.error("the store has a mark that is none", extra={"field": repr(field)})
        return None


async def hear(marks: Marks) -> None:
    """Has it know what the store has now. Raises StoreAway."""
    if isinstance(marks, StoreMarks) and not await marks.look():
        raise StoreAway("the store does not answer")
