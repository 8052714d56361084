"""Over a limit that suspends: refused from then on, and looked at again when somebody was resumed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from gateway.errors import GatewayError
from gateway.gate import Gate
from gateway.model import (
    Application,
    Config,
    Each,
    Identity,
    Limit,
    Outcome,
    Over,
    Per,
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

ORDERS = Service(
    name="orders",
    upstream=Upstream(name="orders", targets=(Target(False, "orders", 80),)),
    accept=(),
    rules=(Rule(method="GET", pattern="/", usage={"hits": 1}),),
)
TWO = Limit(plan="gold", period=Period.ETERNITY, value=2, over=Over.SUSPEND)


class Request:
    method, host, path, query, peer, certificate = b"GET", b"a", b"/", b"", "192.0.2.1", None


class Passport:
    def __init__(self) -> None:
        self.identity = Identity(subject="alice", client_id="mobile-app")

    def identify(self, service: Service, ask: Any, done: Callable[[Any], None]) -> Identity:
        return self.identity


class Suspended(dict[str, Limit]):
    """The gate's Suspensions, of a process that knows of no other."""

    known = True

    def find(self, scope: str) -> bool:
        return scope in self

    suspend = dict.__setitem__


class Elsewhere:
    """A ledger that has all units in other hands."""

    def claim(self, *parts: Any) -> str:
        return "a claim"

    def consume(self, claim: str, done: Callable[[Outcome], None]) -> Outcome:
        return Outcome(Verdict.REFUSED, TWO, 0, None, 1, elsewhere=True)


class Stand:
    def __init__(self, *limits: Limit, ledger: Any = None, each: Each = Each.SHARED) -> None:
        config = Config(
            services={"orders": ORDERS},
            plans={"gold": Plan(name="gold", services=("orders",), limits=limits)},
            applications={
                "mobile": Application(
                    name="mobile", plans=("gold",), client_ids=("mobile-app",), account="acme", each=each
                ),
                "web": Application(name="web", plans=("gold",), client_ids=("web-app",), account="acme"),
            },
        )
        self.suspended = Suspended()
        self.passport = Passport()
        ledger = ledger or MemoryLedger(lambda: 0.0, lambda alert: None)
        router = compile_router([ORDERS])
        self.now = 100.0
        self.gate = Gate(
            config, router, self.passport, ledger, {}, lambda *_: b"",
            suspensions=self.suspended, clock=lambda: self.now,
        )  # fmt: skip

    def ask(self) -> str:
        request: Any = Request()
        try:
            assert self.gate.admit(request, self.gate.route(request), lambda _: None)
        except GatewayError as error:
            return f"{error.status} {error.code}"
        return "200"


def test_the_first_request_over_the_limit_suspends() -> None:
    stand = Stand(TWO)
    assert [stand.ask() for _ in range(4)] == ["200", "200", *["403 application_suspended"] * 2]
    assert stand.suspended == {"mobile": TWO}


def test_what_is_remembered_of_others_decisions_does_not_outlive_their_suspension() -> None:
    stand = Stand(TWO)
    assert stand.ask() == "200"
    stand.suspended["mobile"] = TWO
    stand.gate.heard("mobile", resumed=False)
    assert stand.ask() == "403 application_suspended"
    stand.suspended.clear()
    stand.gate.heard("mobile", resumed=True)
    assert stand.ask() == "200"


def test_a_refusal_that_may_be_of_before_does_not_suspend_who_was_just_resumed() -> None:
    stand = Stand(TWO)
    assert [stand.ask() for _ in range(3)][-1] == "403 application_suspended"
    stand.suspended.clear()
    stand.gate.heard("mobile", resumed=True)
    stand.now += 1.0
    assert stand.ask() == "429 over_limit"
    assert stand.suspended == {}
    stand.now += 1.1
    assert stand.ask() == "403 application_suspended"


def test_an_account_is_suspended_with_all_its_applications_and_a_user_alone() -> None:
    stand = Stand(replace(TWO, per=Per.ACCOUNT))
    assert [stand.ask() for _ in range(3)][-1] == "403 application_suspended"
    stand.passport.identity = Identity(subject="bob", client_id="web-app")
    assert stand.ask() == "403 application_suspended"
    stand = Stand(replace(TWO, per=Per.USER))
    assert [stand.ask() for _ in range(3)][-1] == "403 application_suspended"
    assert [*stand.suspended] == ["user:mobile/alice"]
    stand.passport.identity = Identity(subject="bob", client_id="mobile-app")
    assert stand.ask() == "200"


def test_nobody_is_suspended_for_units_that_others_have_in_hand() -> None:
    stand = Stand(TWO, ledger=Elsewhere())
    assert stand.ask() == "429 over_limit"
    assert stand.suspended == {}


@pytest.mark.parametrize(("over", "answer"), [(Over.SUSPEND, "503 ledger_down"), (Over.REJECT, "200")])
def test_until_it_is_known_who_is_suspended_only_plans_that_suspend_wait(over: Over, answer: str) -> None:
    stand = Stand(replace(TWO, over=over))
    stand.suspended.known = False
    assert stand.ask() == answer


def test_an_application_is_suspended_with_all_its_clients() -> None:
    stand = Stand(TWO, each=Each.CLIENT)
    assert stand.ask() == "200"
    stand.suspended["mobile"] = TWO
    stand.gate.heard("mobile", resumed=False)
    assert stand.ask() == "403 application_suspended"
