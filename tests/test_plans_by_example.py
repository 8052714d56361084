"""docs/how-to: each example is loaded, and its requests are asked of a gate, one after another."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from gateway.config import load
from gateway.errors import GatewayError, OverLimit
from gateway.gate import Admission, Gate
from gateway.http.ratelimit import policy_of
from gateway.model import Config, Identity, Service
from gateway.quota.census import Units
from gateway.quota.cost import bills, window_of, written
from gateway.quota.memory import MemoryLedger
from gateway.quota.suspensions import Suspensions
from gateway.routing.router import compile_router
from gateway.site import permits_of
from gateway.store.keys import Counted
from gateway.store.marks import MemoryMarks

PAGES = sorted((Path(__file__).parents[1] / "docs" / "how-to").glob("*.md"))
MONDAY = 4_102_747_200.0  # 2100-01-04T12:00:00Z


class Request(NamedTuple):
    """A gate's Ask, from a row of a table."""

    client: str
    user: str
    method: bytes = b"GET"
    host: bytes = b"a"
    path: bytes = b"/orders"
    query: bytes = b""
    peer: str = "192.0.2.1"
    certificate: None = None

    def header(self, name: bytes) -> list[bytes]:
        return []


class Passport:
    """Believes what the row says of its client."""

    def identify(self, service: Service, ask: Request, done: Callable[[Any], None]) -> Identity:
        if not ask.client:
            return Identity(subject="", application=next(line.anonymous for line in service.accept if line.anonymous))
        return Identity(subject=ask.user, client_id=ask.client)


class Example(NamedTuple):
    title: str
    plans: str
    rows: list[dict[str, str]]


def examples(column: str) -> list[Example]:
    """Those whose table has such a column."""
    found = [
        Example(page.stem, yaml[1], rows_of(page.read_text()))
        for page in PAGES
        if (yaml := re.search(r"^```yaml\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL))
    ]
    assert all(example.rows for example in found)
    return [example for example in found if column in example.rows[0]]


def rows_of(section: str) -> list[dict[str, str]]:
    heads, _, *rows = [
        [cell.strip() for cell in line[1:-1].split("|")] for line in section.splitlines() if line.startswith("|")
    ]
    return [dict(zip(heads, row, strict=True)) for row in rows]


class Clock:
    """Says what the latest row did; MONDAY before the first that says something."""

    def __init__(self) -> None:
        self.now = MONDAY

    def __call__(self) -> float:
        return self.now

    def turn(self, row: dict[str, str]) -> None:
        if text := row.get("time"):
            self.now = datetime.fromisoformat(text).timestamp()
        if text := row.get("at"):
            self.now = MONDAY + seconds(text)


def seconds(text: str) -> float:
    """`1.5s`"""
    return float(text.removesuffix("s"))


class UnderWay:
    """Requests that were let in; each ends when its row says, or at once."""

    def __init__(self) -> None:
        self._ends: list[tuple[float, Admission, int]] = []

    def begin(self, row: dict[str, str], now: float, admission: Admission) -> None:
        self._ends.append((now + seconds(row.get("lasts") or "0s"), admission, int(row.get("service") or 200)))
        self.end(now)

    def end(self, now: float) -> None:
        """Those that have ended by now."""
        ended = [one for one in self._ends if one[0] <= now]
        self._ends = [one for one in self._ends if one[0] > now]
        for _, admission, status in ended:
            if admission.outcome is not None and admission.outcome.hold is not None:
                admission.outcome.hold.settle(admission.route.charged(status))


def gate_of(config: Config, clock: Clock) -> Gate:
    marks = MemoryMarks(clock, lambda row: None)
    marks.watch(lambda kind, name, mark: gate.heard(name, resumed=mark is None))
    ledger = MemoryLedger(clock, lambda alert: None)
    router = compile_router(config.services.values())
    suspensions, permits = Suspensions(marks), permits_of(config)
    gate = Gate(config, router, Passport(), ledger, permits, lambda *_: b"", suspensions=suspensions, clock=clock)
    return gate


def answer(gate: Gate, clock: Clock, under_way: UnderWay, row: dict[str, str]) -> str:
    """What the service answers (200 where the row does not say), or a refusal's status and the limit or code that says
    why.
    """
    clock.turn(row)
    under_way.end(clock.now)
    method, _, path = row.get("request", "GET /orders").encode().partition(b" ")
    ask = Request(row["client"], row["user"], method, path=path, peer=row.get("address", "192.0.2.1"))
    heard: list[Any] = []
    try:
        admission = gate.admit(ask, gate.route(ask), heard.append)
    except OverLimit as error:
        assert error.outcome.limit is not None
        return f"429 {policy_of(error.outcome.limit).name}"
    except GatewayError as error:
        return f"{error.status} {error.code}"
    assert admission is not None
    under_way.begin(row, clock.now, admission)
    if admission.upstream is not None:
        return f"200, by {admission.upstream}"
    shadow = admission.outcome and admission.outcome.shadow
    return f"200, shadow {policy_of(shadow).name}" if shadow else row.get("service", "200")


@pytest.mark.parametrize("example", examples("client"), ids=lambda example: example.title)
async def test_requests_get_what_the_document_says(example: Example, tmp_path: Path) -> None:
    (tmp_path / "plans.yaml").write_text(example.plans)
    clock = Clock()
    gate, under_way = gate_of(load(tmp_path), clock), UnderWay()
    answers = []
    for row in example.rows:
        answers.append(answer(gate, clock, under_way, row))
        await asyncio.sleep(0)  # marks are set
    assert answers == [row["answer"] for row in example.rows]


@pytest.mark.parametrize("example", examples("cost"), ids=lambda example: example.title)
def test_months_cost_what_the_document_says(example: Example, tmp_path: Path) -> None:
    (tmp_path / "plans.yaml").write_text(example.plans)
    config = load(tmp_path)
    for row in example.rows:
        start = int(window_of(row["month"], "UTC").start)
        counters = [
            (Counted("mobile", "gold", service, metric, "month", "UTC", start), Units(int(row[metric]), 0, 0, 1, 1, ()))
            for service, metric in (("", "hits"), ("orders", "writes"))
        ]
        assert [written(bill.total) for bill in bills(config, counters, row["month"])] == [row["cost"]]
