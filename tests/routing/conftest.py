from collections.abc import Callable, Mapping
from typing import Any

import pytest

from gateway.errors import NotFound
from gateway.http.path import normalise
from gateway.model import HITS, Accept, Route, Rule, Service, Target, Upstream
from gateway.routing.router import Router, compile_router

UPSTREAM = Upstream(name="up", targets=(Target(False, "127.0.0.1", 9000),))

MakeRule = Callable[..., Rule]
MakeService = Callable[..., Service]
Ask = Callable[..., Route]


@pytest.fixture
def rule() -> MakeRule:
    """`rule("GET /orders", writes=10)`; one hit without usage."""

    def make(line: str, *, last: bool = False, **usage: int) -> Rule:
        method, _, pattern = line.partition(" ")
        return Rule(method=method, pattern=pattern, usage=usage or {HITS: 1}, last=last)

    return make


@pytest.fixture
def service(rule: MakeRule) -> MakeService:
    """A service by its rules (lines or Rule objects)."""

    def make(*rules: str | Rule, name: str = "orders", metrics: Mapping[str, str | None] = {}, **more: Any) -> Service:
        made = tuple(each if isinstance(each, Rule) else rule(each) for each in rules)
        accept = (Accept(jwt="keycloak"),)
        return Service(name=name, upstream=UPSTREAM, accept=accept, rules=made, metrics={HITS: None} | metrics, **more)

    return make


@pytest.fixture
def ask() -> Ask:
    """`ask(router, "GET /orders?x=1", host)`: the target takes the way that a client's does."""

    def route(router: Router, line: str, host: str = "api.example.com") -> Route:
        method, _, target = line.partition(" ")
        path, query = normalise(target.encode())
        return router.route(method.encode(), host.encode(), path, query)

    return route


@pytest.fixture
def matches(service: MakeService, ask: Ask) -> Callable[[str, str], bool]:
    """Whether a pattern, as a service's only rule, takes a target."""

    def test(pattern: str, target: str) -> bool:
        router = compile_router([service(f"GET {pattern}")])
        try:
            ask(router, f"GET {target}")
        except NotFound:
            return False
        return True

    return test
