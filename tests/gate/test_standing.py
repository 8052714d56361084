"""An application is served for a time; what is remembered of a request's decisions ends with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from gateway.errors import Forbidden
from gateway.gate import Admission, Gate
from gateway.gate.standing import require_standing
from gateway.model import (
    Account,
    AccountState,
    Application,
    Config,
    Identity,
    Moment,
    Plan,
    Rule,
    Service,
    State,
    Target,
    Upstream,
)
from gateway.quota.memory import MemoryLedger
from gateway.routing.router import compile_router

BASE = Application(name="mobile", plans=("gold",), client_ids=("mobile-app",))
ALICE = Identity(subject="alice", client_id="mobile-app")
ORDERS = Service(
    name="orders",
    upstream=Upstream(name="orders", targets=(Target(False, "orders", 80),)),
    accept=(),
    rules=(Rule(method="GET", pattern="/", usage={"hits": 1}),),
)


class Request:
    method, host, path, query, peer, certificate = b"GET", b"a", b"/", b"", "192.0.2.1", None


class Passport:
    def identify(self, service: Service, ask: Any, done: Callable[[Any], None]) -> Identity:
        return ALICE


def test_until_when_an_application_is_served_is_the_first_of_its_ends() -> None:
    assert require_standing(BASE, Account(name="acme"), 5.0) is None
    assert require_standing(replace(BASE, begins=Moment(5)), None, 5.0) is None
    assert require_standing(replace(BASE, ends=Moment(9), trial_ends=Moment(7)), None, 5.0) == 7.0


@pytest.mark.parametrize(
    ("settings", "account", "code", "detail"),
    [
        ({"begins": Moment(6)}, None, "application_not_yet", "the application is valid from 1970-01-01T00:00:06Z on"),
        ({"ends": Moment(5)}, None, "application_expired", "the application was valid until 1970-01-01T00:00:05Z"),
        ({"trial_ends": Moment(0)}, None, "trial_ended", "the application's trial ended at 1970-01-01T00:00:00Z"),
        ({"state": State.PENDING}, None, "application_pending", "the application is pending"),
        ({}, AccountState.DISABLED, "account_disabled", "the account is disabled"),
    ],
)
def test_a_refusal_says_why(settings: dict[str, Any], account: AccountState | None, code: str, detail: str) -> None:
    application = Application(name="mobile", plans=("gold",), **settings)
    owner = None if account is None else Account(name="acme", state=account)
    with pytest.raises(Forbidden) as refused:
        require_standing(application, owner, 5.0)
    assert (refused.value.code, refused.value.detail, refused.value.application) == (code, detail, "mobile")


def test_a_remembered_decision_ends_when_the_application_does() -> None:
    now = [8.0]
    config = Config(
        services={"orders": ORDERS},
        plans={"gold": Plan(name="gold", services=("orders",))},
        applications={
            "mobile": Application(name="mobile", plans=("gold",), client_ids=("mobile-app",), ends=Moment(9))
        },
    )
    ledger = MemoryLedger(lambda: now[0], lambda alert: None)
    at = Gate(config, compile_router([ORDERS]), Passport(), ledger, {}, lambda *_: b"", clock=lambda: now[0])

    def ask() -> Admission | None:
        request: Any = Request()
        return at.admit(request, at.route(request), lambda _: None)

    first, second = ask(), ask()
    assert first is not None and second is not None
    assert first.subscription is second.subscription
    now[0] = 9.0
    with pytest.raises(Forbidden, match="was valid until"):
        ask()
