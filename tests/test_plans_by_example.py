"""docs/how-to: each example is loaded, and its requests are asked of a gate, one after another."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from rigs.timers import Timers

from gateway.config import load
from gateway.errors import GatewayError, OverLimit
from gateway.gate import Admission, Gate, Turn, Turns
from gateway.http.answers import problem
from gateway.http.ratelimit import policy_of
from gateway.http.refusals import refusal_for
from gateway.model import Config, Identity, Route, Service
from gateway.quota.census import Units
from gateway.quota.cost import bills, window_of, written
from gateway.quota.memory import MemoryLedger
from gateway.quota.suspensions import Suspensions
from gateway.routing.router import compile_router
from gateway.site import permits_of
from gateway.store.keys import Counted
from gateway.store.marks import MemoryMarks

PAGES = sorted((Path(__file__).parents[1] / "docs" / "how-to").glob("*.md"))
GETS = "what the client gets"
MONDAY = 4_102_747_200.0  # 2100-01-04T12:00:00Z


@dataclass
class Request:
    """A gate's Ask, from a row of a table."""

    client: str
    user: str
    method: bytes = b"GET"
    host: bytes = b"a"
    path: bytes = b"/orders"
    query: bytes = b""
    peer: str = "192.0.2.1"
    certificate: None = None
    turn: Turn | None = None
    gone: bool = False

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


class Clock(Timers):
    """Says what the latest row did; MONDAY where the first one says nothing."""

    def __init__(self, rows: list[dict[str, str]]) -> None:
        super().__init__(min(MONDAY, moment(rows[0])))

    def __call__(self) -> float:
        return self.now

    def turn(self, row: dict[str, str]) -> None:
        self.turn_to(moment(row, self.now))


def moment(row: dict[str, str], otherwise: float = MONDAY) -> float:
    """When it happens, in Unix seconds."""
    if text := row.get("time"):
        return datetime.fromisoformat(text).timestamp()
    return MONDAY + seconds(row["at"]) if row.get("at") else otherwise


def seconds(text: str) -> float:
    """`1.5s`"""
    return float(text.removesuffix("s"))


def gate_of(config: Config, clock: Clock) -> Gate:
    """Its time is the clock's."""
    marks = MemoryMarks(clock, lambda row: None)
    marks.watch(lambda kind, name, mark: gate.heard(name, resumed=mark is None))
    ledger = MemoryLedger(clock, lambda alert: None)
    router = compile_router(config.services.values())
    suspensions, permits = Suspensions(marks), permits_of(config)
    turns = Turns(ledger, clock, clock)
    note = lambda *_: b""  # noqa: E731
    gate = Gate(config, router, Passport(), ledger, permits, note, suspensions=suspensions, turns=turns, clock=clock)
    return gate


class Asked:
    """A row's request, which ends when the row says, or at once."""

    def __init__(self, gate: Gate, clock: Clock, row: dict[str, str]) -> None:
        clock.turn(row)
        self._clock, self._lasts = clock, seconds(row.get("lasts") or "0s")
        self._service, self._says = row.get("service", "200"), row.get("says")
        method, _, path = row.get("request", "GET /orders").encode().partition(b" ")
        self._ask = Request(row["client"], row["user"], method, path=path, peer=row.get("address", "192.0.2.1"))
        self.answer = self.gets = ""
        self._route: Route | None = None
        try:
            self._route = gate.route(self._ask)
            result = gate.admit(self._ask, self._route, self._hear)
        except GatewayError as error:
            self._hear(error)
        else:
            if result is not None:
                self._hear(result)

    def _hear(self, result: Admission | GatewayError) -> None:
        turn = self._ask.turn
        waited = "" if turn is None else f", after {turn.seconds:.1f}s"
        self.answer = f"{told(result, self._service)}{waited}"
        if isinstance(result, GatewayError):
            self.gets = sent(result, self._route.service if self._route is not None else None, self._clock.now)
        else:
            ended = partial(end, result, int(self._service or 200), self._says)
            if self._lasts:
                self._clock.call_later(self._lasts, ended)
            else:
                ended()


def sent(error: GatewayError, service: Service | None, now: float) -> str:
    """A refusal as the client gets it: status, type and body."""
    refusal = refusal_for(service or error.service, error)
    head, _, body = problem(error, "id", now=now, close=False, refusal=refusal).decode().partition("\r\n\r\n")
    fields = dict(line.split(": ", 1) for line in head.split("\r\n")[1:])
    return f"{head.split()[1]} {fields['content-type']}: {body}"


def end(admission: Admission, status: int, says: str | None) -> None:
    """The service has answered, and may have said what it cost."""
    if admission.outcome is not None and admission.outcome.hold is not None:
        found = {measure.place: int(says) for measure in admission.route.measures if says}
        admission.outcome.hold.settle(admission.route.charged(status, found))


def told(result: Admission | GatewayError, service: str) -> str:
    """What the service answers (200 where the row does not say), or a refusal's status and the limit or code that says
    why.
    """
    if isinstance(result, OverLimit) and result.code == "over_limit":
        assert result.outcome.limit is not None
        return f"429 {policy_of(result.outcome.limit).name}"
    if isinstance(result, GatewayError):
        return f"{result.status} {result.code}"
    if result.upstream is not None:
        return f"200, by {result.upstream}"
    shadow = result.outcome and result.outcome.shadow
    return f"200, shadow {policy_of(shadow).name}" if shadow else service or "200"


@pytest.mark.parametrize("example", examples("client"), ids=lambda example: example.title)
async def test_requests_get_what_the_document_says(example: Example, tmp_path: Path) -> None:
    (tmp_path / "plans.yaml").write_text(example.plans)
    clock = Clock(example.rows)
    gate = gate_of(load(tmp_path), clock)
    asked = []
    for row in example.rows:
        asked.append(Asked(gate, clock, row))
        await asyncio.sleep(0)  # marks are set
    clock.turn_to(clock.now + 60)
    assert [one.answer for one in asked] == [row["answer"] for row in example.rows]
    if GETS in example.rows[0]:
        assert [one.gets for one in asked] == [row[GETS] for row in example.rows]


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
