"""Whatever happens to a gateway, it never spends more than its part of a window, and the store hears all of it once."""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.model import Limit, Period
from gateway.quota.local import cells as module
from gateway.quota.local.cell import PAGE, WORDS
from gateway.quota.local.cells import TEXT
from gateway.quota.local.shares import Line, LocalShares

from .conftest import HOUR, NOON, Books, limit, line

HITS, WRITES = limit(480), limit(360, metric="writes", period=Period.DAY)  # 12 and 9 for this gateway
LENGTHS = {Period.HOUR: HOUR, Period.DAY: 24 * HOUR}
MEMORY = Path("/dev/shm")  # spares the disk; what a crash leaves of it is this test's choice


class Spending(NamedTuple):
    """At most so many requests by each worker, at this cost to each of the limits."""

    requests: int
    cost: int
    limits: tuple[Limit, ...]


class Gateway:
    """One gateway in an outage that does not end, and what it has let in by counter."""

    def __init__(self, folder: Path, workers: int) -> None:
        self.local, self.disk = folder / "local", folder / "disk"
        self.now = NOON - 100 * HOUR
        self.behind = 0.0
        self.boot = 0
        self.start(workers)
        self.now = NOON + 60
        self.let_in: Counter[str] = Counter()
        self.books = Books()
        self.is_written()

    def start(self, workers: int, *limits: Limit) -> None:
        self.workers = [self.open(worker, workers, *limits) for worker in range(workers)]

    def open(self, worker: int, workers: int, *limits: Limit) -> LocalShares:
        about: dict[str, Any] = {"worker": worker, "workers": workers, "now": self.now, "boot": f"b{self.boot}"}
        return LocalShares(self.local, limits or (HITS, WRITES), **about)

    def stop(self) -> None:
        for shares in self.workers:
            shares.close()

    def spend(self, spending: Spending) -> None:
        """Let in as many requests as each worker may."""
        lines = [self.line(limit, spending.cost) for limit in spending.limits]
        for shares in self.workers:
            for _ in range(spending.requests):
                if shares.take(lines):
                    self.let_in.update({line.key: line.cost for line in lines})

    def line(self, limit: Limit, cost: int) -> Line:
        length = LENGTHS[limit.period]
        start = (self.now - self.behind) // length * length
        return line(limit, cost, start=start, end=start + length)

    # --- what may happen

    def waits(self) -> None:
        self.now += HOUR

    def is_behind_in_time(self) -> None:
        """It takes a window for open that is over; it began to keep its account by the right time."""
        self.behind = HOUR - self.behind

    def reports(self) -> int:
        return sum(self.books.hear(shares) for shares in self.workers)

    def reports_without_answer(self) -> None:
        for shares in self.workers:
            self.books.hear(shares, answers=False)

    def replaces_a_worker(self) -> None:
        self.workers[0].close()
        self.workers[0] = self.open(0, len(self.workers))

    def has_one_worker(self) -> None:
        self.stop()
        self.start(1)

    def has_three_workers(self) -> None:
        self.stop()
        self.start(3)

    def has_other_limits_for_a_while(self) -> None:
        self.stop()
        self.start(len(self.workers), WRITES)
        self.replaces_all()

    def replaces_all(self) -> None:
        self.stop()
        self.start(len(self.workers))

    def is_written(self) -> None:
        """What is in memory comes to the disk."""
        shutil.rmtree(self.disk, ignore_errors=True)
        shutil.copytree(self.local, self.disk)

    def crashes_with_its_machine(self) -> None:
        """What has not come to the disk is lost."""
        self.stop()
        shutil.rmtree(self.local)
        shutil.copytree(self.disk, self.local)
        self.boot += 1
        self.start(len(self.workers))

    def loses_its_folder(self) -> None:
        self.stop()
        shutil.rmtree(self.local)
        self.start(len(self.workers))


Event = Callable[[Gateway], object]
Step = tuple[Event, Spending]
HARMLESS: list[Event] = [
    Gateway.waits,
    Gateway.is_behind_in_time,
    Gateway.reports,
    Gateway.reports_without_answer,
    Gateway.replaces_a_worker,
    Gateway.replaces_all,
    Gateway.has_one_worker,
    Gateway.has_three_workers,
    Gateway.has_other_limits_for_a_while,
]
HARMFUL: list[Event] = [Gateway.is_written, Gateway.crashes_with_its_machine, Gateway.loses_its_folder]

MANY = Spending(20, 1, (HITS,))
limits = st.sampled_from([(HITS,), (WRITES,), (HITS, WRITES)])
spendings = st.builds(Spending, requests=st.integers(0, 20), cost=st.integers(1, 4), limits=limits)


def histories(*events: Event) -> st.SearchStrategy[list[Step]]:
    return st.lists(st.tuples(st.sampled_from(events), spendings), max_size=6)


@contextmanager
def gateway(workers: int, cells: int) -> Iterator[Gateway]:
    """Its files have so few cells that they are soon used again."""
    texts_at = PAGE + cells * WORDS * 8
    small = {"CELLS": cells, "TEXTS_AT": texts_at, "FILE_SIZE": texts_at + cells * TEXT}
    memory = MEMORY if MEMORY.exists() else None
    with patch.multiple(module, **small), tempfile.TemporaryDirectory(dir=memory) as folder:
        running = Gateway(Path(folder), workers)
        yield running
        running.stop()


@settings(max_examples=200, deadline=None)
@given(workers=st.integers(1, 3), history=histories(*HARMLESS, *HARMFUL, *HARMFUL))
@example(
    workers=1, history=[(Gateway.waits, MANY)] * 2 + [(Gateway.replaces_all, MANY), (Gateway.is_behind_in_time, MANY)]
)
def test_never_more_than_its_part(workers: int, history: list[Step]) -> None:
    with gateway(workers, cells=3) as it:
        it.spend(Spending(6, 1, (HITS, WRITES)))
        for event, spending in history:
            event(it)
            it.spend(spending)
            for limit in (HITS, WRITES):
                assert it.let_in[it.line(limit, 1).key] <= limit.local


@settings(max_examples=200, deadline=None)
@given(workers=st.integers(1, 3), history=histories(*HARMLESS))
def test_the_store_hears_all_of_it_once(workers: int, history: list[Step]) -> None:
    with gateway(workers, cells=30) as it:
        it.spend(Spending(6, 1, (HITS, WRITES)))
        for event, spending in history:
            event(it)
            it.spend(spending)
        while it.reports():
            pass
        assert it.books.spent == it.let_in
