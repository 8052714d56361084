"""Over a limit that degrades, another upstream serves, as long as the other limits hold."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gateway.errors import GatewayError
from gateway.gate import Admission, Gate
from gateway.model import (
    Accept,
    Application,
    Config,
    Identity,
    Limit,
    Outcome,
    Over,
    Period,
    Plan,
    Rule,
    Service,
    Target,
    Upstream,
    Verdict,
)
from gateway.quota.memory import MemoryLedger
from gateway.routing.router import compile_router

MAIN, CHEAP = (Upstream(name=name, targets=(Target(False, name, 80),)) for name in ("orders", "orders.cheap"))
ORDERS = Service(
    name="orders",
    upstream=MAIN,
    upstreams={"cheap": CHEAP},
    accept=(Accept(jwt="keycloak"),),
    rules=(Rule(method="GET", pattern="/", usage={"hits": 1}),),
)
FULL = Limit(plan="gold", period=Period.ETERNITY, value=2, over=Over.DEGRADE, upstream="cheap")
ALL = Limit(plan="gold", period=Period.YEAR, value=5)


class Request:
    method, host, path, query, peer, certificate = b"GET", b"a", b"/", b"", "192.0.2.1", None


class Passport:
    def identify(self, service: Service, ask: Any, done: Callable[[Any], None]) -> Identity:
        return ALICE


ALICE = Identity(subject="alice", client_id="mobile-app")


class Later:
    """A ledger whose answers wait until they are `told`."""

    def __init__(self, ledger: MemoryLedger) -> None:
        self._ledger = ledger
        self._waiting: list[Callable[[], None]] = []
        self.claim = ledger.claim

    def consume(self, claim: Any, done: Callable[[Outcome], None]) -> None:
        self._waiting.append(lambda: done(self._ledger.consume(claim, done)))

    def tell(self) -> None:
        while self._waiting:
            self._waiting.pop(0)()


def gate(ledger: Any, *limits: Limit) -> Gate:
    config = Config(
        services={"orders": ORDERS},
        plans={"gold": Plan(name="gold", services=("orders",), limits=limits)},
        applications={"mobile": Application(name="mobile", plans=("gold",), client_ids=("mobile-app",))},
    )
    return Gate(config, compile_router([ORDERS]), Passport(), ledger, {}, lambda *_: b"")


def memory() -> MemoryLedger:
    return MemoryLedger(lambda: 0.0, lambda alert: None)


def ask(at: Gate, heard: list[Admission | GatewayError] | None = None) -> Admission | None:
    request: Any = Request()
    return at.admit(request, at.route(request), (heard if heard is not None else []).append)


def test_what_is_over_goes_to_the_other_upstream_and_none_of_the_limit_remains() -> None:
    at = gate(memory(), FULL)
    admissions = [ask(at) for _ in range(5)]
    assert [found.upstream for found in admissions] == [None, None, "cheap", "cheap", "cheap"]
    outcome = admissions[-1].outcome
    assert (outcome.verdict, outcome.limit, outcome.remaining, outcome.retry_after) == (Verdict.GRANTED, FULL, 0, None)


def test_other_limits_count_it_and_refuse_it() -> None:
    at = gate(memory(), FULL, ALL)
    assert [ask(at).upstream for _ in range(5)] == [None, None, "cheap", "cheap", "cheap"]
    with pytest.raises(GatewayError) as refused:
        ask(at)
    assert (refused.value.code, refused.value.outcome.limit) == ("over_limit", ALL)


def test_it_is_the_same_for_a_ledger_that_answers_later() -> None:
    ledger = Later(memory())
    at = gate(ledger, FULL, ALL)
    heard: list[Any] = []
    assert [ask(at, heard) for _ in range(6)] == [None] * 6
    ledger.tell()
    assert [found.upstream for found in heard[:5]] == [None, None, "cheap", "cheap", "cheap"]
    assert heard[5].outcome.limit is ALL
    assert len(heard) == 6


def test_a_limit_that_degrades_alone_needs_no_second_answer() -> None:
    ledger = Later(memory())
    at = gate(ledger, FULL)
    heard: list[Any] = []
    for _ in range(3):
        ask(at, heard)
    ledger.tell()
    assert [found.upstream for found in heard] == [None, None, "cheap"]
