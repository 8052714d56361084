"""Any limits with any behaviour over them: what each request gets, and what is counted of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import GatewayError
from gateway.gate import Gate
from gateway.model import (
    Application,
    Config,
    Identity,
    Limit,
    Over,
    Period,
    Plan,
    Rule,
    Service,
    Target,
    Upstream,
)
from gateway.quota.memory import MemoryLedger
from gateway.routing.router import compile_router

METRICS = ("hits", "a", "b", "c")
MAIN, CHEAP = (Upstream(name=name, targets=(Target(False, name, 80),)) for name in ("orders", "orders.cheap"))
ORDERS = Service(
    name="orders",
    upstream=MAIN,
    upstreams={"cheap": CHEAP},
    accept=(),
    metrics=dict.fromkeys(METRICS),
    rules=(Rule(method="GET", pattern="/", usage=dict.fromkeys(METRICS, 1)),),
)


class Request:
    method, host, path, query, peer, certificate = b"GET", b"a", b"/", b"", "192.0.2.1", None


class Passport:
    identity = Identity(subject="alice", client_id="mobile-app")

    def identify(self, service: Service, ask: Any, done: Callable[[Any], None]) -> Identity:
        return self.identity


class Suspended(dict[str, Limit]):
    """The gate's Suspensions, of a process that knows of no other."""

    known = True

    def find(self, scope: str) -> bool:
        return scope in self

    def suspend(self, scope: str, limit: Limit) -> None:
        self[scope] = limit
        self.gate.heard(scope, resumed=False)

    gate: Gate


def limit(metric: str, value: int, over: Over) -> Limit:
    upstream = "cheap" if over is Over.DEGRADE else None
    return Limit(plan="gold", metric=metric, period=Period.ETERNITY, value=value, over=over, upstream=upstream)


LIMITS = st.lists(
    st.tuples(st.integers(1, 5), st.sampled_from((Over.REJECT, Over.ALLOW, Over.DEGRADE, Over.SUSPEND))),
    min_size=1,
    max_size=len(METRICS),
).map(lambda found: [limit(metric, *one) for metric, one in zip(METRICS, found, strict=False)])


def stand(limits: list[Limit]) -> tuple[Gate, MemoryLedger, Suspended]:
    config = Config(
        services={"orders": ORDERS},
        plans={"gold": Plan(name="gold", services=("orders",), limits=tuple(limits))},
        applications={"mobile": Application(name="mobile", plans=("gold",), client_ids=("mobile-app",))},
    )
    ledger, suspended = MemoryLedger(lambda: 0.0, lambda alert: None), Suspended()
    gate = Gate(config, compile_router([ORDERS]), Passport(), ledger, {}, lambda *_: b"", suspensions=suspended)
    suspended.gate = gate
    return gate, ledger, suspended


def ask(gate: Gate) -> str:
    request: Any = Request()
    try:
        admission = gate.admit(request, gate.route(request), lambda _: None)
    except GatewayError as error:
        return error.code
    assert admission is not None
    return admission.upstream or "main"


@given(LIMITS, st.integers(1, 12))
def test_what_a_request_gets_and_counts_follows_from_the_limits_that_it_is_over(
    limits: list[Limit], requests: int
) -> None:
    gate, ledger, suspended = stand(limits)
    spent = dict.fromkeys(limits, 0)
    for _ in range(requests):
        was_suspended = bool(suspended)
        over = {one.over for one in limits if spent[one] + 1 > one.value} - {Over.ALLOW}
        answer = ask(gate)
        if was_suspended:
            wanted, counted = {"application_suspended"}, set()
        elif over & {Over.REJECT, Over.SUSPEND}:
            words = {Over.REJECT: "over_limit", Over.SUSPEND: "application_suspended"}
            wanted, counted = {words[one] for one in over if one in words}, set()
        elif over:
            wanted, counted = {"cheap"}, {one for one in limits if one.over is not Over.DEGRADE}
        else:
            wanted, counted = {"main"}, set(limits)
        assert answer in wanted
        for one in counted:
            spent[one] += 1
    accounts = asyncio.run(ledger.read("mobile", limits))
    assert [account.units.spent for account in accounts] == [spent[one] for one in limits]
