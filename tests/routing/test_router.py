"""Service by host and path; all rules that match count."""

import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import BadRequest, NotFound
from gateway.model import HITS, Accept, Pattern, Require, Route, Rule, Service, Target, Upstream
from gateway.routing.patterns import parse
from gateway.routing.router import compile_permits, compile_router

MakeRule = Callable[..., Rule]
MakeService = Callable[..., Service]
Ask = Callable[..., Route]


@contextmanager
def refused(code: str) -> Iterator[None]:
    with pytest.raises(NotFound) as error:
        yield
    assert error.value.code == code


# --- which service ---------------------------------------------------------------------------


def test_a_named_host_goes_before_a_wildcard_and_that_before_any(service: MakeService, ask: Ask) -> None:
    named = service("GET /", name="named", hosts=("api.example.com",), path="/a")
    wild = service("GET /", name="wild", hosts=("*.example.com",), path="/a/b")
    wider = service("GET /", name="wider", hosts=("*.com",))
    anywhere = service("GET /", name="anywhere")
    router = compile_router([anywhere, wider, wild, named])

    def name(host: str, path: str) -> str:
        return ask(router, f"GET {path}", host).service.name

    assert name("api.example.com", "/a/b") == "named"  # the host goes before the longer path
    assert name("x.example.com", "/a/b") == "wild"
    assert name("x.y.example.com", "/a/b") == "wild"
    assert name("x.example.com", "/c") == "wider"
    assert name("example.com", "/a/b") == "wider"  # a wildcard is at least one label
    assert name("example.org", "/a/b") == "anywhere"
    assert name("127.0.0.1", "/a/b") == "anywhere"


def test_the_longest_path_wins_and_ends_at_a_segment(service: MakeService, ask: Ask) -> None:
    router = compile_router(
        [service("GET /", name=name, path=path) for name, path in [("a", "/a"), ("ab", "/a/b/"), ("a-x", "/a-x")]]
    )

    def name(path: str) -> str:
        return ask(router, f"GET {path}").service.name

    assert name("/a") == name("/a/") == name("/a/c") == name("/a/bc") == "a"
    assert name("/a/b") == name("/a/b/c") == "ab"
    assert name("/a-x/1") == "a-x"
    for path in ("/", "/ab", "/A"):
        with refused("no_service"):
            ask(router, f"GET {path}")


def test_an_equal_host_and_path_is_an_error(service: MakeService) -> None:
    with pytest.raises(ValueError, match="b and a have an equal host and path"):
        compile_router([service("GET /", name="a", path="/x"), service("GET /", name="b", path="/x/")])


def test_a_services_path_in_needless_encodings_is_refused(service: MakeService, ask: Ask) -> None:
    router = compile_router([service("GET /", path="/@x")])
    assert ask(router, "GET /@x/%40").service.path == "/@x"
    with pytest.raises(BadRequest, match="needless encodings"):
        ask(router, "GET /%40x/1")


# --- which rules -----------------------------------------------------------------------------


def test_all_rules_that_match_add_up(service: MakeService, rule: MakeRule, ask: Ask) -> None:
    bulk = rule("POST /orders/bulk", writes=10)
    more = rule("ANY /orders/bulk/x", writes=5, reads=1)
    metrics = {"writes": None, "reads": None}
    router = compile_router([service("POST /orders", bulk, more, metrics=metrics)])

    assert ask(router, "POST /orders/bulk/x").usage == {HITS: 1, "writes": 15, "reads": 1}
    assert ask(router, "POST /orders/bulk").usage == {HITS: 1, "writes": 10}
    assert ask(router, "GET /orders/bulk/x").usage == {"writes": 5, "reads": 1}
    assert ask(router, "POST /orders/bulk").template == "/orders, /orders/bulk"


def test_a_last_rule_stops_those_after_it(service: MakeService, rule: MakeRule, ask: Ask) -> None:
    status = rule("GET /orders/status$", last=True, hits=2)
    router = compile_router([service("GET /", status, "GET /orders")])

    assert ask(router, "GET /orders/status").usage == {HITS: 3}
    assert ask(router, "GET /orders/7").usage == {HITS: 2}


def test_no_rule_is_not_found(service: MakeService, ask: Ask) -> None:
    router = compile_router([service("GET /orders")])
    for line in ("POST /orders", "GET /", "BREW /orders"):
        with refused("no_rule"):
            ask(router, line)


def test_any_takes_every_method_and_get_takes_no_head(service: MakeService, ask: Ask) -> None:
    router = compile_router([service("ANY /any", "GET /get")])
    for method in ("GET", "HEAD", "PROPFIND"):
        assert ask(router, f"{method} /any").usage == {HITS: 1}
    with refused("no_rule"):
        ask(router, "HEAD /get")


def test_usage_rolls_up_to_every_ancestor(service: MakeService, rule: MakeRule, ask: Ask) -> None:
    metrics = {"writes": HITS, "bulk": "writes", "tokens": None}
    router = compile_router(
        [service(rule("POST /bulk", bulk=5, writes=1, tokens=9), rule("POST /", hits=2), metrics=metrics)]
    )
    assert ask(router, "POST /bulk").usage == {"bulk": 5, "writes": 6, HITS: 8, "tokens": 9}


def test_the_same_rules_give_the_same_object(service: MakeService, ask: Ask) -> None:
    router = compile_router([service("GET /orders/{id}", "GET /orders")])
    assert ask(router, "GET /orders/1") is ask(router, "GET /orders/2")
    assert ask(router, "GET /orders") is not ask(router, "GET /orders/1")


# --- spellings -------------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["/orders;x/bulk", "/orders/bulk;x", "/orders/bulk%3bx", "/orders;x"])
def test_path_parameters_cannot_dodge_a_rule(service: MakeService, rule: MakeRule, ask: Ask, target: str) -> None:
    """Servers that drop `;…` read /orders;x/bulk as /orders/bulk."""
    router = compile_router([service("POST /", "POST /orders/", "POST /orders$", rule("POST /orders/bulk$", hits=10))])
    with pytest.raises(BadRequest, match="path's parameters"):
        ask(router, f"POST {target}")


def test_path_parameters_cannot_dodge_a_condition(service: MakeService, ask: Ask) -> None:
    """Though they would change nothing of what is counted."""
    admins = Rule(method="GET", pattern="/orders/admin$", usage={HITS: 0}, require=Require(roles=("admin",)))
    router = compile_router([service(admins, "GET /orders")])
    with pytest.raises(BadRequest, match="path's parameters"):
        ask(router, "GET /orders/admin;x")


def test_a_route_asks_what_its_service_and_all_its_rules_ask(service: MakeService, ask: Ask) -> None:
    admin, writer = Require(roles=("admin",)), Require(scopes=("orders:write",))
    rules = [
        Rule(method="ANY", pattern="/orders", usage={HITS: 1}, require=admin),
        Rule(method="POST", pattern="/orders", usage={HITS: 1}, require=writer),
        Rule(method="GET", pattern="/", usage={HITS: 1}),
    ]
    router = compile_router([service(*rules)])
    assert ask(router, "GET /").requires == ()
    assert ask(router, "GET /orders").requires == (admin,)
    assert ask(router, "POST /orders").requires == (admin, writer)


def test_path_parameters_pass_where_they_change_nothing(service: MakeService, ask: Ask) -> None:
    router = compile_router([service("GET /route/{points}$", "GET /route")])
    assert ask(router, "GET /route/13.38,52.51;13.39,52.52").usage == {HITS: 2}


def test_path_parameters_cannot_dodge_a_service(service: MakeService, ask: Ask) -> None:
    router = compile_router([service("GET /", name="root"), service("GET /", name="orders", path="/orders")])
    with pytest.raises(BadRequest, match="path's parameters"):
        ask(router, "GET /orders;x/1")


def test_a_repeated_parameter_cannot_dodge_a_charge(service: MakeService, rule: MakeRule, ask: Ask) -> None:
    free = rule("GET /x?mode=free", last=True, hits=0)
    dear = rule("GET /x?mode=dear", hits=10)
    router = compile_router([service(free, dear, "GET /x")])

    assert ask(router, "GET /x?mode=free").usage == {HITS: 0}
    assert ask(router, "GET /x?mode=free&mode=other").usage == {HITS: 1}  # `last` wants every value
    assert ask(router, "GET /x?mode=free&mode=dear").usage == {HITS: 11}


# --- what a plan allows ----------------------------------------------------------------------


def test_permits_are_patterns_of_which_one_must_match() -> None:
    permits = compile_permits((Pattern("GET", "/orders"), Pattern("ANY", "/status$")))
    assert permits(b"GET", b"/orders/7", b"")
    assert permits(b"POST", b"/status", b"")
    assert not permits(b"POST", b"/orders", b"")
    assert not permits(b"GET", b"/status/x", b"")
    assert not permits(b"HEAD", b"/orders", b"")


def test_permits_see_the_decoded_path() -> None:
    permits = compile_permits((Pattern("GET", "/users/@me"),))
    assert permits(b"GET", b"/users/%40me", b"")


def test_path_parameters_gain_no_permit() -> None:
    permits = compile_permits((Pattern("GET", "/a/{x}$"),))
    assert permits(b"GET", b"/a/b;v=1", b"")
    assert not compile_permits((Pattern("GET", "/a/bc"),))(b"GET", b"/a;x/bc", b"")
    assert not compile_permits((Pattern("GET", "/a-"), Pattern("GET", "/b")))(b"GET", b"/a;/b", b"")


def test_a_repeated_parameter_gains_no_permit() -> None:
    permits = compile_permits((Pattern("GET", "/x?mode=safe"),))
    assert permits(b"GET", b"/x", b"mode=safe&mode=safe")
    assert not permits(b"GET", b"/x", b"mode=safe&mode=danger")


# --- against a reference ---------------------------------------------------------------------

PATTERNS = ["/", "/a", "/a$", "/a/", "/a/b", "/ab", "/{x}", "/a/{x}", "/a/{x}$", "/a/{x}/b", "/a?q=1", "/a?q={v}&r=1"]
rules = st.builds(
    Rule,
    method=st.sampled_from(["GET", "POST", "ANY"]),
    pattern=st.sampled_from(PATTERNS),
    usage=st.dictionaries(st.sampled_from([HITS, "m", "n"]), st.integers(1, 3), min_size=1),
    last=st.booleans(),
)
METRICS = {HITS: None, "m": HITS, "n": "m"}
ANCESTORS = {HITS: [HITS], "m": ["m", HITS], "n": ["n", "m", HITS]}


def reference(rules: list[Rule], method: str, path: bytes, parameters: dict[str, str]) -> dict[str, int]:
    """Every rule in order, one by one."""
    usage: dict[str, int] = {}
    for rule in rules:
        pattern = parse(rule.pattern)
        matches = path.startswith(pattern.head) and (pattern.match is None or pattern.match(path))
        has = all(name in parameters and value in (None, parameters[name]) for name, value in pattern.conditions)
        if rule.method in (method, "ANY") and matches and has:
            for metric, delta in rule.usage.items():
                for each in ANCESTORS[metric]:
                    usage[each] = usage.get(each, 0) + delta
            if rule.last:
                break
    return usage


@given(
    st.lists(rules, max_size=8),
    st.sampled_from(["GET", "POST", "PUT"]),
    st.sampled_from(["/", "/a", "/a/", "/a/b", "/a/b/b", "/a/c/b", "/ab", "/b"]),
    st.dictionaries(st.sampled_from("qr"), st.sampled_from("12")),
)
def test_usage_is_that_of_trying_every_rule(
    rules: list[Rule], method: str, path: str, parameters: dict[str, str]
) -> None:
    upstream = Upstream(name="up", targets=(Target(False, "127.0.0.1", 9000),))
    served = Service(name="s", upstream=upstream, accept=(Accept(jwt="k"),), metrics=METRICS, rules=tuple(rules))
    query = "&".join(f"{name}={value}" for name, value in parameters.items())
    expected = reference(rules, method, path.encode(), parameters)
    try:
        usage = compile_router([served]).route(method.encode(), b"h", path.encode(), query.encode()).usage
    except NotFound:
        usage = {}
    assert usage == expected


def test_what_is_remembered_is_of_that_request_alone(service: MakeService, ask: Ask) -> None:
    """Twice each: found, and remembered."""
    rules = ("GET /a", "POST /a", "GET /a?kind={kind}", "GET /b")
    router = compile_router([service(*rules, name="any"), service("GET /a", name="named", hosts=("x.example",))])
    for _ in range(2):
        assert ask(router, "GET /a").template == "/a"
        assert ask(router, "GET /a?kind=1").template == "/a, /a?kind={kind}"
        assert ask(router, "GET /b").template == "/b"
        assert ask(router, "GET /a", "x.example").service.name == "named"
        with refused("no_rule"):
            ask(router, "POST /b")


# --- floods ----------------------------------------------------------------------------------


def test_floods_leave_nothing_behind(service: MakeService, ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither distinct paths and hosts, nor all combinations of rules, fill the memory."""
    monkeypatch.setattr("gateway.routing.router.ROUTES", 64)
    monkeypatch.setattr("gateway.routing.router.KNOWN", 16)
    conditional = [f"GET /?p{n}={{v}}" for n in range(10)]
    router = compile_router([service("GET /a/{x}", *conditional, "GET /")])

    def flood(name: bytes) -> None:
        for n in range(1 << 10):
            query = "&".join(f"p{bit}=1" for bit in range(10) if n >> bit & 1)
            router.route(b"GET", b"%b%d.example" % (name, n), b"/a/%b%d" % (name, n), query.encode())

    flood(b"x")
    tracemalloc.start()
    flood(b"y")
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 64 * 2_000
    assert ask(router, "GET /a/1?p3=x").usage == {HITS: 3}
