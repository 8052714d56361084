"""`require` and `match`: who is let in by what a token says, and what the others are told."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import pytest

from gateway.errors import Forbidden, GatewayError, Unauthorized
from gateway.gate import Admission, Gate
from gateway.gate.conditions import claim_at, meets
from gateway.http.answers import problem
from gateway.model import (
    Accept,
    Application,
    Config,
    Identity,
    Outcome,
    Plan,
    Require,
    Rule,
    Service,
    Target,
    Upstream,
    Verdict,
)
from gateway.routing.router import compile_router

NOW = 1_800_000_000.0
ALICE = Identity(
    subject="alice",
    client_id="mobile-app",
    roles=frozenset({"customer", "orders:admin"}),
    groups=frozenset({"/staff"}),
    scopes=frozenset({"openid", "orders:read"}),
    claims={
        "acr": "silver",
        "auth_time": NOW - 100,
        "tenant": "acme",
        "verified": True,
        "level": 3,
        "tags": ["blue", "green"],
        "address": {"country": "DE", "lines": []},
        "https://example.com/plan": "gold",
        "nested": [["deep"]],
    },
    proof=("jwt:keycloak",),
)


class Request:
    """A gate's Ask."""

    def __init__(self, method: bytes = b"GET", path: bytes = b"/orders") -> None:
        self.method, self.path = method, path
        self.host, self.query, self.peer = b"a", b"", "192.0.2.1"
        self.certificate = None

    def header(self, _name: bytes) -> list[bytes]:
        return []


class Passport:
    def __init__(self, identity: Identity) -> None:
        self._identity = identity

    def identify(self, _service: Service, _ask: Request, _done: Callable[[Any], None]) -> Identity:
        return self._identity

    def challenges(self, _service: Service) -> tuple[str, ...]:
        return ('Bearer realm="orders"',)


class Ledger:
    """Counts what reaches it."""

    count = 0

    def claim(self, *_: object) -> None:
        return None

    def consume(self, _claim: object, _done: object) -> Outcome:
        self.count += 1
        return Outcome(Verdict.GRANTED)


def gate(
    identity: Identity = ALICE,
    service: Require | None = None,
    rule: Require | None = None,
    plan: Require | None = None,
    clock: Callable[[], float] = lambda: NOW,
    **application: Any,
) -> Gate:
    orders = Service(
        name="orders",
        path="/orders",
        upstream=Upstream(name="orders", targets=(Target(False, "127.0.0.1", 1),)),
        accept=(Accept(jwt="keycloak"),),
        rules=(
            Rule(method="GET", pattern="/orders", usage={"hits": 1}),
            Rule(method="POST", pattern="/orders", usage={"hits": 1}, require=rule),
        ),
        require=service,
    )
    gold = Plan(name="gold", services=("orders",), require=plan)
    application = application or {"client_ids": ("mobile-app",)}
    mobile = Application(name="mobile", plans=("gold",), **application)
    config = Config(services={"orders": orders}, plans={"gold": gold}, applications={"mobile": mobile})
    return Gate(config, compile_router([orders]), Passport(identity), Ledger(), {}, lambda *_: b"", clock=clock)


def ask(at: Gate, request: Request | None = None) -> Admission:
    request = request or Request()
    admission = at.admit(request, at.route(request), print)
    assert admission is not None
    return admission


def refusal(at: Gate, request: Request | None = None) -> GatewayError:
    with pytest.raises(GatewayError) as caught:
        ask(at, request)
    return caught.value


MET = [
    {"roles": ("customer",)},
    {"roles": ("boss", "orders:admin")},
    {"groups": ("/board", "/staff")},
    {"scopes": ("orders:read",)},
    {"scopes": ("orders:read", "openid")},
    {"claims": {"tenant": ("acme",)}},
    {"claims": {"tenant": ("*",)}},
    {"claims": {"verified": ("true",)}},
    {"claims": {"level": ("2", "3")}},
    {"claims": {"tags": ("red", "green")}},
    {"claims": {"address.country": ("DE", "AT")}},
    {"claims": {"https://example.com/plan": ("gold",)}},
    {"acr": ("gold", "silver")},
    {"max_age": 100.0},
    {"roles": ("customer",), "groups": ("/staff",), "claims": {"tenant": ("acme",), "level": ("3",)}},
]
NOT_MET = [
    ({"roles": ("boss",)}, "role_missing"),
    ({"roles": ("admin",)}, "role_missing"),  # another client's is not the realm's
    ({"groups": ("staff",)}, "group_missing"),
    ({"scopes": ("orders:write",)}, "insufficient_scope"),
    ({"scopes": ("orders:read", "orders:write")}, "insufficient_scope"),
    ({"claims": {"tenant": ("Acme",)}}, "claim_missing"),
    ({"claims": {"tenan": ("*",)}}, "claim_missing"),
    ({"claims": {"verified": ("True",)}}, "claim_missing"),
    ({"claims": {"tags": ("blue,green",)}}, "claim_missing"),
    ({"claims": {"nested": ("deep",)}}, "claim_missing"),
    ({"claims": {"address": ("DE",)}}, "claim_missing"),
    ({"claims": {"address.lines": ("*",)}}, "claim_missing"),
    ({"claims": {"tenant.name": ("acme",)}}, "claim_missing"),
    ({"claims": {"tenant": ("acme",), "level": ("4",)}}, "claim_missing"),
    ({"acr": ("gold",)}, "insufficient_user_authentication"),
    ({"max_age": 60.0}, "insufficient_user_authentication"),
    ({"roles": ("customer",), "groups": ("/board",)}, "group_missing"),
]


@pytest.mark.parametrize("where", ["service", "rule", "plan"])
@pytest.mark.parametrize("require", MET)
def test_who_meets_it_is_let_in(where: str, require: dict[str, Any]) -> None:
    at = gate(**{where: Require(**require)})
    assert ask(at, Request(b"POST")).identity is ALICE


@pytest.mark.parametrize("where", ["service", "rule", "plan"])
@pytest.mark.parametrize(("require", "code"), NOT_MET)
def test_who_does_not_is_refused_and_not_counted(where: str, require: dict[str, Any], code: str) -> None:
    at = gate(**{where: Require(**require)})
    for _ in range(2):
        error = refusal(at, Request(b"POST"))
        assert (error.code, error.application, error.plan) == (code, "mobile", "gold")
        assert error.status == (401 if code == "insufficient_user_authentication" else 403)
    assert at._ledger.count == 0


def test_a_rules_condition_is_for_what_matches_it_alone() -> None:
    at = gate(rule=Require(roles=("boss",)))
    assert ask(at, Request(b"GET")) is not None
    assert refusal(at, Request(b"POST")).code == "role_missing"
    assert ask(at, Request(b"GET")) is not None


def test_conditions_of_service_rule_and_plan_hold_together() -> None:
    three = {"service": Require(roles=("customer",)), "rule": Require(groups=("/staff",))}
    assert ask(gate(**three, plan=Require(scopes=("openid",))), Request(b"POST")) is not None
    assert refusal(gate(**three, plan=Require(roles=("boss",))), Request(b"POST")).code == "role_missing"


def test_a_key_has_no_roles() -> None:
    key = Identity(subject="application:mobile", application="mobile", proof=("api_key",))
    for require in (Require(roles=("customer",)), Require(scopes=("openid",)), Require(claims={"tenant": ("*",)})):
        assert isinstance(refusal(gate(key, service=require)), Forbidden)
    assert isinstance(refusal(gate(key, service=Require(acr=("gold",)))), Unauthorized)


def test_who_is_anonymous_is_asked_for_credentials() -> None:
    nobody = Identity(subject="", application="mobile")
    error = refusal(gate(nobody, service=Require(roles=("customer",))))
    assert (error.status, error.code, error.challenges) == (401, "credentials_missing", ('Bearer realm="orders"',))
    assert ask(gate(nobody)) is not None


def test_the_scopes_that_are_needed_are_named() -> None:
    """RFC 6750 3.1."""
    error = refusal(gate(service=Require(scopes=("orders:read", "orders:write"))))
    told = 'error="insufficient_scope", error_description="needs the scopes orders:read orders:write"'
    assert error.challenges == (f'Bearer realm="orders", {told}, scope="orders:read orders:write"',)
    assert f"www-authenticate: {error.challenges[0]}\r\n".encode() in problem(error, "1", now=NOW, close=False)


def test_how_to_sign_in_is_told() -> None:
    """RFC 9470 3."""
    error = refusal(gate(service=Require(acr=("gold", "platinum"), max_age=300)))
    told = (
        'error="insufficient_user_authentication", '
        'error_description="the user must sign in again, as the challenge says", '
        'acr_values="gold platinum", max_age="300"'
    )
    assert error.challenges == (f'Bearer realm="orders", {told}',)
    assert b"www-authenticate: Bearer" in problem(error, "1", now=NOW, close=False)
    dpop = replace(ALICE, proof=("jwt:keycloak", "dpop"))
    assert refusal(gate(dpop, service=Require(acr=("gold",)))).challenges[0].startswith('DPoP realm="orders", ')


def test_signing_in_grows_old_though_the_token_is_known() -> None:
    now = NOW
    at = gate(service=Require(max_age=300), clock=lambda: now)
    assert ask(at) is not None
    now += 200
    assert ask(at) is not None
    now += 1
    assert refusal(at).code == "insufficient_user_authentication"


@pytest.mark.parametrize("when", [None, "yesterday", NOW + 1000, [NOW]])
def test_without_a_time_of_signing_in_it_was_too_long_ago(when: object) -> None:
    identity = replace(ALICE, claims={"auth_time": when})
    assert refusal(gate(identity, service=Require(max_age=300))).code == "insufficient_user_authentication"


@pytest.mark.parametrize("require", [require for require in MET if not {"acr", "max_age"} & require.keys()])
def test_applications_are_found_by_what_the_token_says(require: dict[str, Any]) -> None:
    assert ask(gate(match=Require(**require))).subscription.application.name == "mobile"


@pytest.mark.parametrize(("require", "code"), NOT_MET[:-3])
def test_applications_are_not_found_by_what_it_does_not_say(require: dict[str, Any], code: str) -> None:
    assert code
    assert refusal(gate(match=Require(**require))).code == "no_application"


def test_a_claim_named_with_dots_goes_before_a_path() -> None:
    assert claim_at({"a.b": 1, "a": {"b": 2}}, "a.b") == 1
    assert claim_at({"a": MappingProxyType({"b": 2})}, "a.b") == 2
    assert claim_at({"a": [1]}, "a.0") is None


def test_a_condition_costs_microseconds_once() -> None:
    require = Require(roles=("customer",), scopes=("openid",), claims={"address.country": ("DE",)})
    begun = time.process_time()
    assert all(meets(require, ALICE) for _ in range(1000))
    assert time.process_time() - begun < 0.1
