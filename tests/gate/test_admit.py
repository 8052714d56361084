"""The gate: identity → application → plan → ledger, at once or later, and every way to be refused."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from gateway.errors import Forbidden, GatewayError, OverLimit, Unauthorized, Unavailable
from gateway.gate import Admission, Gate
from gateway.model import (
    Accept,
    Alert,
    Application,
    Config,
    Each,
    Identity,
    Limit,
    Outcome,
    Pattern,
    Per,
    Period,
    Plan,
    Require,
    Rule,
    Service,
    State,
    Target,
    Upstream,
    Verdict,
)
from gateway.quota.memory import MemoryLedger
from gateway.routing.router import compile_permits, compile_router

ORDERS = Service(
    name="orders",
    path="/orders",
    upstream=Upstream(name="orders", targets=(Target(False, "127.0.0.1", 1),)),
    accept=(Accept(jwt="keycloak"),),
    metrics={"hits": None, "writes": "hits"},
    rules=(
        Rule(method="GET", pattern="/orders", usage={"hits": 1}),
        Rule(method="POST", pattern="/orders", usage={"writes": 2}),
    ),
)
GOLD = Plan(name="gold", services=("orders",), limits=(Limit(plan="gold", period=Period.ETERNITY, value=3),))
FREE = Plan(name="free", services=("orders",), limits=(Limit(plan="free", period=Period.ETERNITY, value=1),))
OTHER = Plan(name="other", services=("stock",))
MOBILE = Application(name="mobile", plans=("gold",), client_ids=("mobile-app",))
CUSTOMERS = Application(name="customers", plans=("free",), match=Require(roles=("customer",)), each=Each.CLIENT)

ALICE = Identity(subject="alice", client_id="mobile-app")
SHOP = Identity(subject="s", client_id="shop-app", roles=frozenset({"customer"}))


@dataclass
class Request:
    """A gate's Ask."""

    method: bytes = b"GET"
    host: bytes = b"a"
    path: bytes = b"/orders"
    query: bytes = b""
    peer: str = "192.0.2.1"
    heard: list[Any] = field(default_factory=list)

    def header(self, name: bytes) -> list[bytes]:
        return []


class Passport:
    """Knows everybody as `identity`; `later` keeps the answers back."""

    def __init__(self, identity: Identity | GatewayError) -> None:
        self.identity = identity
        self.later: list[Callable[[], None]] | None = None

    def identify(self, service: Service, ask: Request, done: Callable[[Any], None]) -> Identity | None:
        if self.later is not None:
            self.later.append(lambda: done(self.identity))
            return None
        if isinstance(self.identity, GatewayError):
            raise self.identity
        return self.identity


def gate(
    identity: Identity | GatewayError,
    *applications: Application,
    plans: tuple[Plan, ...] = (GOLD, FREE, OTHER),
    ledger: Any = None,
) -> Gate:
    config = Config(
        services={"orders": ORDERS},
        plans={plan.name: plan for plan in plans},
        applications={application.name: application for application in applications or (MOBILE, CUSTOMERS)},
    )
    permits = {(plan.name, name): compile_permits(patterns) for plan in plans for name, patterns in plan.allow.items()}
    alerts: list[Alert] = []
    ledger = ledger or MemoryLedger(time.time, alerts.append)
    return Gate(config, compile_router([ORDERS]), Passport(identity), ledger, permits, lambda *_: b"note")


def ask(at: Gate, request: Request | None = None) -> Admission | None:
    request = request or Request()
    return at.admit(request, at.route(request), request.heard.append)


def scope(at: Gate, request: Request | None = None) -> str:
    admission = ask(at, request)
    assert admission is not None
    return admission.subscription.scope


def refusal(at: Gate, request: Request | None = None) -> GatewayError:
    with pytest.raises(GatewayError) as caught:
        ask(at, request)
    return caught.value


def test_an_application_is_found_by_key_then_client_then_roles_in_order() -> None:
    keyed = Application(name="keyed", plans=("gold",))
    late = Application(name="late", plans=("free",), match=Require(roles=("customer",)))
    everyone = (MOBILE, keyed, CUSTOMERS, late)
    assert scope(gate(Identity(subject="k", application="keyed", client_id="unknown"), *everyone)) == "keyed"
    assert scope(gate(replace(ALICE, roles=frozenset({"customer"})), *everyone)) == "mobile"
    assert scope(gate(SHOP, *everyone)) == "customers/shop-app"


@pytest.mark.parametrize(
    ("each", "expected"),
    [
        (Each.SHARED, "customers"),
        (Each.CLIENT, "customers/shop-app"),
        (Each.USER, "customers/s"),
        (Each.ADDRESS, "customers/192.0.2.1"),
    ],
)
def test_what_is_matched_by_roles_is_counted_per_client_user_address_or_together(each: Each, expected: str) -> None:
    assert scope(gate(SHOP, replace(CUSTOMERS, each=each))) == expected


def test_addresses_are_counted_apart_though_the_identity_is_one() -> None:
    at = gate(SHOP, replace(CUSTOMERS, each=Each.ADDRESS))
    assert scope(at, Request(peer="192.0.2.1")) == "customers/192.0.2.1"
    assert scope(at, Request(peer="192.0.2.2")) == "customers/192.0.2.2"
    assert isinstance(refusal(at, Request(peer="192.0.2.1")), OverLimit)


def test_credentials_of_different_applications_refuse() -> None:
    both = Identity(subject="b", application="keyed", client_id="mobile-app")
    assert refusal(gate(both, MOBILE, Application(name="keyed", plans=("gold",)))).code == "credentials_differ"


def test_who_has_no_application_is_refused() -> None:
    assert refusal(gate(Identity(subject="x", client_id="nobody"))).code == "no_application"


@pytest.mark.parametrize("state", [State.SUSPENDED, State.PENDING])
def test_only_live_applications_are_let_in(state: State) -> None:
    error = refusal(gate(ALICE, replace(MOBILE, state=state)))
    assert (error.code, error.application) == (f"application_{state}", "mobile")


def test_the_service_picks_the_plan_and_without_one_it_is_403() -> None:
    two = replace(MOBILE, plans=("other", "gold"))
    admission = ask(gate(ALICE, two))
    assert admission is not None
    assert admission.subscription.plan is GOLD
    assert refusal(gate(ALICE, replace(MOBILE, plans=("other",)))).code == "no_plan"


def test_an_endpoint_outside_the_plan_is_403_and_not_counted() -> None:
    narrow = replace(GOLD, allow={"orders": (Pattern("GET", "/orders$"),)})
    at = gate(ALICE, plans=(narrow, FREE))
    for _ in range(5):
        error = refusal(at, Request(path=b"/orders/1"))
        assert (error.code, error.application, error.plan) == ("not_in_plan", "mobile", "gold")
    assert ask(at) is not None


def test_a_limit_of_zero_is_403() -> None:
    none = replace(GOLD, limits=(Limit(plan="gold", metric="writes", period=Period.DAY, value=0),))
    at = gate(ALICE, plans=(none, FREE))
    assert ask(at) is not None  # a GET writes nothing
    error = refusal(at, Request(method=b"POST"))
    assert isinstance(error, Forbidden)
    assert error.code == "not_in_plan"


def test_usage_rolls_up_to_the_limit_of_its_ancestor_and_refused_requests_count_nothing() -> None:
    at = gate(ALICE)
    ask(at, Request(method=b"POST"))  # two writes, so two hits of three
    error = refusal(at, Request(method=b"POST"))
    assert isinstance(error, OverLimit)
    assert (error.application, error.plan) == ("mobile", "gold")
    admission = ask(at)
    assert admission is not None
    assert admission.outcome is not None
    assert admission.outcome.remaining == 0


def test_a_late_identity_is_heard_by_the_callback_once() -> None:
    at = gate(ALICE)
    at._passport.later = []
    request = Request()
    assert ask(at, request) is None
    at._passport.later.pop()()
    (admission,) = request.heard
    assert admission.subscription.application is MOBILE


def test_a_late_refusal_is_handed_over_not_raised() -> None:
    at = gate(Unauthorized("no"))
    at._passport.later = []
    request = Request()
    assert ask(at, request) is None
    at._passport.later.pop()()
    assert isinstance(request.heard[0], Unauthorized)


class LateLedger:
    """Answers by callback only."""

    def __init__(self) -> None:
        self.answers: list[Callable[[Outcome], None]] = []

    def claim(self, scope: str, charges: Any) -> str:
        return scope

    def consume(self, claim: Any, done: Callable[[Outcome], None]) -> None:
        self.answers.append(done)


@pytest.mark.parametrize(
    ("verdict", "kind"),
    [(Verdict.GRANTED, Admission), (Verdict.REFUSED, OverLimit), (Verdict.UNAVAILABLE, Unavailable)],
)
def test_the_ledgers_late_verdicts(verdict: Verdict, kind: type) -> None:
    ledger = LateLedger()
    request = Request()
    assert ask(gate(ALICE, ledger=ledger), request) is None
    ledger.answers[0](Outcome(verdict, GOLD.limits[0]))
    assert [type(heard) for heard in request.heard] == [kind]


def test_when_usage_cannot_be_counted_it_is_503_ledger_down() -> None:
    ledger = LateLedger()
    request = Request()
    ask(gate(ALICE, ledger=ledger), request)
    ledger.answers[0](Outcome(Verdict.UNAVAILABLE))
    assert (request.heard[0].status, request.heard[0].code) == (503, "ledger_down")


def test_a_plan_without_limits_asks_no_ledger() -> None:
    admission = ask(gate(ALICE, plans=(replace(GOLD, limits=()), FREE), ledger=LateLedger()))
    assert admission is not None
    assert admission.outcome is None


# --- whose requests count together --------------------------------------------------------------------

WEB = Application(name="web", plans=("gold",), client_ids=("web-app",), account="acme")
OWNED = replace(MOBILE, account="acme")
BOB = replace(ALICE, subject="bob")


def per(whose: Per, value: int = 1) -> Plan:
    return replace(GOLD, limits=(Limit(plan="gold", period=Period.ETERNITY, per=whose, value=value),))


def admitted(whose: Per, asked: list[tuple[Identity, str]], value: int = 1) -> list[bool]:
    """Who of these (identity, address) is let in, one after another."""
    alerts: list[Alert] = []
    ledger = MemoryLedger(time.time, alerts.append)
    gates = {who: gate(who, OWNED, WEB, plans=(per(whose, value), FREE), ledger=ledger) for who, _ in asked}
    found = []
    for who, address in asked:
        try:
            found.append(ask(gates[who], Request(peer=address)) is not None)
        except OverLimit as error:
            assert error.application in {"mobile", "web"}
            found.append(False)
    return found


@pytest.mark.parametrize(
    ("whose", "expected"),
    [
        (Per.USER, [True, False, True, True]),
        (Per.ADDRESS, [True, True, False, True]),
        (Per.APPLICATION, [True, False, False, True]),
        (Per.ACCOUNT, [True, False, False, False]),
        (Per.SERVICE, [True, False, False, False]),
    ],
)
def test_a_limit_says_whose_requests_count_together(whose: Per, expected: list[bool]) -> None:
    web = replace(ALICE, client_id="web-app")
    assert admitted(whose, [(ALICE, "a"), (ALICE, "b"), (BOB, "b"), (web, "a")]) == expected


def test_limits_of_users_and_of_their_application_hold_together() -> None:
    """What a user is refused is not counted for the application."""
    both = replace(
        GOLD,
        limits=(
            Limit(plan="gold", period=Period.ETERNITY, value=3),
            Limit(plan="gold", period=Period.ETERNITY, per=Per.USER, value=2),
        ),
    )
    ledger = MemoryLedger(time.time, [].append)
    alice, bob = (gate(who, plans=(both, FREE), ledger=ledger) for who in (ALICE, BOB))
    for _ in range(2):
        assert ask(alice) is not None
    for _ in range(5):
        error = refusal(alice)
        assert isinstance(error, OverLimit)
        assert error.outcome.limit is both.limits[1]
        assert error.detail == "over the limit of 2 hits per eternity and user"
    assert ask(bob) is not None
    error = refusal(bob)
    assert isinstance(error, OverLimit)
    assert error.outcome.limit is both.limits[0]
