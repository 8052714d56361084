"""The shares of limits that this worker may spend by itself while the store is away (`ledger_down: local`)."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from gateway.model import DownMode, Limit, Over
from gateway.quota.counters import Rule
from gateway.quota.local.cell import Report
from gateway.quota.local.cells import Cells, stamp_of
from gateway.quota.local.record import Share, boot_id, cells_of, keep

log = logging.getLogger(__name__)


class Line(NamedTuple):
    """What a request costs one counter: its key, its window in the store's Unix seconds (`end` inf: eternity).

    `note` is JSON that a report of what was spent gets back; `scope` says which reports go together.
    """

    limit: Limit
    key: str
    start: float
    end: float
    cost: int
    scope: str
    note: Any


class LocalShares:
    """One worker's part of the gateway's shares. What is spent of them is kept in a folder, over restarts.

    Each gateway has a limit's `local`. Its workers divide that; the first ones have one more where it is uneven.
    """

    def __init__(self, own: Cells | None, shares: Mapping[Rule, Share], worker: int, workers: int) -> None:
        """`own` None: no share can be spent."""
        self._own = own
        self._shares = shares
        self._worker = worker
        self._workers = workers
        self._left: list[Cells] = []  # of workers that are no more, to be reported

    @classmethod
    def open(
        cls, folder: Path, limits: Iterable[Limit], *, worker: int, workers: int, now: float, boot: str | None = None
    ) -> LocalShares:
        """The shares of one worker of `workers`, counted from 0. A folder that cannot be used is logged, and no share.

        `limits` are all of the configuration, also where none has a share: what was kept for others ends there.
        `now` is the store's time or later: a share that begins to be kept now is for windows that begin after.
        """
        shared = [limit for limit in limits if limit.down.mode is DownMode.LOCAL and limit.over is not Over.ALLOW]
        if not shared and not folder.exists():
            return cls(None, {}, worker, workers)
        try:
            boot = boot or boot_id()
            shares = keep(folder, shared, worker=worker, workers=workers, boot=boot, now=now)
            own = Cells(cells_of(folder, worker), boot)
        except OSError as error:
            log.error("what is spent of local shares cannot be kept, so that none is: %s", error)
            return cls(None, {}, worker, workers)
        opened = cls(own, shares, worker, workers)
        opened._left += _left(folder, worker, workers, boot)
        return opened

    def take(self, lines: Sequence[Line]) -> bool:
        """Spend the costs, all or none; False: one of the limits has no share left, or none in this window."""
        own = self._own
        if own is None:
            return not lines
        cells = []
        for line in lines:
            cell = own.by_key.get(line.key)
            if (cell.spent if cell else 0) + line.cost > self._part(line, own.forgotten):
                return False
            cell = cell or own.add(line.key, line.scope, line.note, line.start, line.end)
            if cell is None:
                return False
            cells.append((cell, line.cost))
        for cell, cost in cells:
            cell.spend(cost)
        return True

    def _part(self, line: Line, forgotten: float) -> int:
        """Units that this worker may spend in the line's window."""
        limit = line.limit
        share = self._shares.get(Rule.of(limit))
        if share is None or line.start <= share.since or line.end <= forgotten:
            return 0
        if (limit.leased, limit.local) != (share.leased, share.local):
            return 0  # of a configuration that the record is not about
        return self.part_of(share.local)

    def part_of(self, units: int) -> int:
        """This worker's part of what the gateway has."""
        return (units + self._workers - 1 - self._worker) // self._workers

    def reports(self) -> Iterator[Report]:
        """What was spent and the store does not know yet. Ask again after these are `done`: there may be more."""
        for file in self._files():
            yield from file.reports()

    def close(self) -> None:
        """Leave the files to another process."""
        for file in self._files():
            file.close()

    def _files(self) -> list[Cells]:
        return [*self._left, *([self._own] if self._own else [])]


def _left(folder: Path, worker: int, workers: int, boot: str) -> Iterator[Cells]:
    """Files of workers that this gateway does not have any more, for this one to report."""
    for path in sorted(folder.glob("*.cells")):
        gone = int(path.stem) if path.stem.isdecimal() else -1
        if gone >= workers and gone % workers == worker and stamp_of(path) is not None:
            try:
                yield Cells(path, boot)
            except OSError as error:
                log.warning("what was spent of local shares is not reported: %s", error)
