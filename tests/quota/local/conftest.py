"""Gateways that must do without their store."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from gateway.model import Down, DownMode, Limit, Period
from gateway.quota.local.shares import Line, LocalShares

NOON = 4_102_488_000.0  # a full hour
HOUR = 3_600.0

Open = Callable[..., LocalShares]


def limit(value: int = 1000, **fields: Any) -> Limit:
    """A limit of the plan `gold`, per hour unless said otherwise, of which each of 4 gateways has a quarter of 10 %."""
    down = Down(mode=DownMode.LOCAL, share=Fraction(1, 10), gateways=4)
    return Limit(**{"plan": "gold", "period": Period.HOUR, "value": value, "down": down, **fields})


def line(limit: Limit, cost: int = 1, *, scope: str = "mobile", start: float = NOON, end: float = NOON + HOUR) -> Line:
    """What a request costs a limit in one window."""
    key = f"gw:{{{scope}}}:{limit.plan}:{limit.metric}:{limit.period}:{start:.0f}"
    return Line(limit, key, start, end, cost, scope, {"key": key})


def spend_all(shares: LocalShares, of: Limit, **window: Any) -> int:
    """Take single units until no more are given; how many were."""
    units = 0
    while shares.take([line(of, **window)]):
        units += 1
    return units


class Books:
    """A store that counts each report once."""

    def __init__(self) -> None:
        self.spent: Counter[str] = Counter()
        self._last: dict[tuple[str, str], int] = {}

    def hear(self, shares: LocalShares, *, answers: bool = True) -> int:
        """Take all reports; how many there were. Without answers nobody learns that they were heard."""
        reports = list(shares.reports())
        for report in reports:
            if self._last.get((report.reporter, report.scope), 0) < report.number:
                self._last[report.reporter, report.scope] = report.number
                self.spent.update({note["key"]: units for note, units in report.lines})
            if answers:
                report.done()
        return len(reports)


@pytest.fixture
def open_shares(tmp_path: Path) -> Iterator[Open]:
    """Opens a worker's shares, from before noon on unless said otherwise, and closes those that it had."""
    running: dict[int, LocalShares] = {}

    def start(*limits: Limit, **fields: Any) -> LocalShares:
        worker = fields.get("worker", 0)
        if worker in running:
            running.pop(worker).close()
        about = {"worker": 0, "workers": 1, "now": NOON - 1, "boot": "b00t", **fields}
        running[worker] = LocalShares(tmp_path / "local", limits, **about)
        return running[worker]

    yield start
    for shares in running.values():
        shares.close()
