"""The shares of limits that this worker may spend by itself while the store is away (`ledger_down: local`)."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import inf
from pathlib import Path
from typing import Any, NamedTuple

from gateway.model import DownMode, Limit, Over
from gateway.quota.clock import boottime
from gateway.quota.counters import Rule
from gateway.quota.local.cell import Report
from gateway.quota.local.cells import Cells, stamp_of
from gateway.quota.local.record import Share, boot_id, cells_of, keep

RETRY = 1.0  # seconds between looks at a folder that cannot be used

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

    def __init__(
        self, folder: Path, limits: Iterable[Limit], *, worker: int, workers: int, now: float, boot: str | None = None
    ) -> None:
        """The shares of one worker of `workers`, counted from 0; without any while the folder cannot be used.

        `limits` are all of the configuration, also where none has a share: what was kept for others ends there.
        `now` is the store's time or later: a share that begins to be kept now is for windows that begin after.
        """
        self._folder = folder
        self._limits = [x for x in limits if x.down.mode is DownMode.LOCAL and x.over is not Over.ALLOW]
        self._worker = worker
        self._workers = workers
        self._boot = boot
        self._shares: Mapping[Rule, Share] = {}
        self._own: Cells | None = None
        self._left: list[Cells] = []  # of workers that are no more, to be reported
        self._ahead = now - boottime()
        self._retry_at = inf
        self._said = ""
        if self._limits or folder.exists():
            self._open(now)

    def take(self, lines: Sequence[Line]) -> bool:
        """Spend the costs, all or none; False: one of the limits has no share left, or none in this window."""
        own = self._own or self._retry()
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

    def give_back(self, key: str, units: int) -> None:
        """Units that were taken of a counter were not used after all. What a report has told of them stays spent."""
        cell = None if self._own is None else self._own.by_key.get(key)
        if cell is not None:
            cell.give_back(units)

    def _open(self, now: float) -> None:
        try:
            boot = self._boot or boot_id()
            about = {"worker": self._worker, "workers": self._workers}
            self._shares = keep(self._folder, self._limits, **about, boot=boot, now=now)
            self._own = Cells(cells_of(self._folder, self._worker), boot)
            self._left = list(_left(self._folder, **about, boot=boot))
        except OSError as error:
            self._retry_at = boottime() + RETRY
            if str(error) != self._said:
                log.warning("what is spent of local shares cannot be kept, so that none is: %s", error)
            self._said = str(error)
        else:
            if self._said:
                log.warning("what is spent of local shares can be kept again")
            self._said = ""

    def _retry(self) -> Cells | None:
        """The process before this one may have ended."""
        if self._own is None and boottime() >= self._retry_at:
            self._open(boottime() + self._ahead)
        return self._own

    def _part(self, line: Line, forgotten: float) -> int:
        """Units that this worker may spend in the line's window."""
        limit = line.limit
        share = self._shares.get(Rule.of(limit))
        if share is None or line.start <= share.since or line.end <= forgotten:
            return 0
        if (limit.leased, limit.local) != (share.leased, share.local):
            return 0  # of a configuration that the record is not about
        return part_of(share.local, self._worker, self._workers)

    def reports(self) -> Iterator[Report]:
        """What was spent and the store does not know yet. Ask again after these are `done`: there may be more."""
        self._retry()
        for file in self._files():
            yield from file.reports()

    def close(self) -> None:
        """Leave the files to another process."""
        for file in self._files():
            file.close()

    def _files(self) -> list[Cells]:
        return [*self._left, *([self._own] if self._own else [])]


def part_of(units: int, worker: int, workers: int) -> int:
    """A worker's part of what the gateway has."""
    return (units + workers - 1 - worker) // workers


def _left(folder: Path, *, worker: int, workers: int, boot: str) -> Iterator[Cells]:
    """Files of workers that this gateway does not have any more, for this one to report."""
    for path in sorted(folder.glob("*.cells")):
        gone = int(path.stem) if path.stem.isdecimal() else -1
        if gone >= workers and gone % workers == worker and stamp_of(path) is not None:
            try:
                yield Cells(path, boot)
            except OSError as error:
                log.warning("what was spent of local shares is not reported: %s", error)
