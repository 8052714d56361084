"""3scale's patterns by example."""

import re
import time
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.routing.patterns import Compiled, parse, parse_method, parse_prefix

Matches = Callable[[str, str], bool]


@pytest.mark.parametrize(
    ("pattern", "target"),
    [
        ("/", "/anything/at/all"),
        ("/orders", "/orders"),
        ("/orders", "/orders/7"),
        ("/orders", "/orders-old"),  # a prefix in characters, as in 3scale
        ("/orders/", "/orders/7"),
        ("/orders$", "/orders"),
        ("/orders$", "/orders?page=2"),
        ("/$metadata", "/$metadata"),
        ("/v1.0/x", "/v1.0/x"),
        ("//orders///x", "/orders/x"),
        ("/orders/{id}", "/orders/7"),
        ("/orders/{id}", "/orders/7/lines"),
        ("/orders/{id}/lines", "/orders/7/lines/1"),
        ("/orders/{id}$", "/orders/7"),
        ("/files/{name}.json$", "/files/a.b.json"),
        ("/files/{name}.{kind}$", "/files/a.json"),
        ("/{a}-{b}/x$", "/1-2-3/x"),
        ("/{a}/{b}", "/x/y"),
        ("/v{n}/x", "/v12/x"),
        ("/orders?sort=asc", "/orders?page=2&sort=asc"),
        ("/orders?sort=asc&page={n}", "/orders?page=&sort=asc"),
        ("/orders?sort={by}", "/orders?sort"),
        ("/orders?q=a%20b", "/orders?q=a+b"),
        ("/orders?q=é", "/orders?q=%c3%a9"),
        ("/orders?sort=asc", "/orders?%73ort=as%63"),
        ("/orders?tag=a", "/orders?tag=b&tag=a"),
        ("/orders$?sort=asc", "/orders?sort=asc"),
        ("/users/@me", "/users/%40me"),
        ("/users/%40me", "/users/@me"),
        ("/a%20b", "/a%20b"),
        ("/café", "/caf%c3%a9"),
        ("/%6frders", "/orders"),
        ("/100%25", "/100%25"),
        ("/orders/{id}$", "/orders/7;v=1"),
        ("/%2A", "/*"),
    ],
)
def test_what_matches(matches: Matches, pattern: str, target: str) -> None:
    assert matches(pattern, target)


@pytest.mark.parametrize(
    ("pattern", "target"),
    [
        ("/orders", "/order"),
        ("/orders", "/x/orders"),
        ("/orders", "/Orders"),
        ("/orders/", "/orders"),
        ("/orders$", "/orders/"),
        ("/orders$", "/orders/7"),
        ("/v1.0", "/v1x0"),
        ("/orders/{id}", "/orders/"),
        ("/orders/{id}", "/orders"),
        ("/orders/{id}/lines", "/orders/7/8/lines"),
        ("/orders/{id}$", "/orders/7/"),
        ("/files/{name}.json$", "/files/.json"),
        ("/files/{name}.json$", "/files/a.json.gz"),
        ("/{a}-{b}$", "/1-"),
        ("/orders?sort=asc", "/orders"),
        ("/orders?sort=asc", "/orders?sort=desc"),
        ("/orders?sort=asc", "/orders?Sort=asc"),
        ("/orders?sort=asc&page={n}", "/orders?sort=asc"),
    ],
)
def test_what_does_not(matches: Matches, pattern: str, target: str) -> None:
    assert not matches(pattern, target)


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("", "a path starts with '/'"),
        ("orders", "a path starts with '/'"),
        ("{id}", "a path starts with '/'"),
        ("?a=b", "a path starts with '/'"),
        ("/orders/*", "'*' is not a wildcard"),
        ("/a/{}", "a variable is written '{name}'"),
        ("/a/{id", "a variable is written '{name}'"),
        ("/a/id}", "a variable is written '{name}'"),
        ("/a/{b/c}", "a variable is written '{name}'"),
        ("/a/{b}{c}", "two variables need something between them"),
        ("/a/../b", "write the path that results"),
        ("/a/.", "write the path that results"),
        ("/a/%2e%2e/b", "write the path that results"),
        ("/a;v=1", "path parameters"),
        ("/a%3bv", "path parameters"),
        ("/a b", "no request can match: the path contains a space; write %20"),
        ("/a%2fb", "no request can match: the path contains an encoded '/'"),
        ("/a%zz", "no request can match: the path contains a '%' without"),
        ("/a%{x}", "no request can match: the path contains a '%' without"),
        ("/a\\b", "no request can match: the path contains a backslash"),
        ("/a#b", "no request can match: the path contains a '#'"),
        ("/a?", "a query is written"),
        ("/a?b", "a query is written"),
        ("/a?=b", "a query is written"),
        ("/a?b=c&", "a query is written"),
        ("/a?b=1&b=2", "names a parameter twice"),
        ("/a?b=x{y}", "a variable stands for a parameter's whole value"),
        ("/a?b=c$", "'$' belongs to the end of the path"),
    ],
)
def test_a_pattern_that_cannot_match_is_refused(pattern: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        parse(pattern)


def test_methods_are_https_or_any() -> None:
    assert parse_method("GET") == "GET"
    assert parse_method("ANY") == "ANY"
    with pytest.raises(ValueError, match="'get' is not a method"):
        parse_method("get")


@pytest.mark.parametrize(
    ("path", "prefix"),
    [("/", b""), ("/orders", b"/orders"), ("/orders/", b"/orders"), ("//a//b", b"/a/b"), ("/café", b"/caf%C3%A9")],
)
def test_a_services_path_is_normalised(path: str, prefix: bytes) -> None:
    assert parse_prefix(path) == prefix


@pytest.mark.parametrize("path", ["", "orders", "/a?b", "/{id}", "/a/../b", "/a b", "/a*", "/a;b", "/a%2f"])
def test_a_services_path_is_a_plain_one(path: str) -> None:
    with pytest.raises(ValueError, match=r"a service's path|a path|match|'\*'|result"):
        parse_prefix(path)


def accepts(pattern: Compiled, path: bytes) -> bool:
    return path.startswith(pattern.head) and (pattern.match is None or bool(pattern.match(path)))


def reference(pattern: str, path: str) -> bool:
    """The same by a plain regular expression that backtracks over everything."""
    exact = pattern.endswith("$")
    parts = re.split(r"\{\w+\}", pattern.removesuffix("$"))
    return re.match("[^/]+".join(map(re.escape, parts)) + (r"\Z" if exact else ""), path) is not None


segments = st.lists(st.sampled_from(["a", "b", "-", "--", "a-b", "ab"]), min_size=1, max_size=3).map("".join)
paths = st.lists(segments, min_size=1, max_size=3).map(lambda each: "/" + "/".join(each))
parts = st.lists(st.sampled_from(["a", "b", "-", "/", "/a", "ab"]), min_size=2, max_size=5)
bodies = parts.map(lambda each: re.sub("//+", "/", "/" + "{v}".join(each)))
patterns = st.tuples(bodies, st.sampled_from(["", "$"])).map("".join)


@given(patterns, paths)
@example("/{v}-{v}/a$", "/a-b-a/a")
@example("/{v}--{v}a$", "/---aa")
def test_variables_match_as_a_backtracking_expression_does(pattern: str, path: str) -> None:
    assert accepts(parse(pattern), path.encode()) == reference(pattern, path)


def test_a_hostile_path_takes_no_long_time() -> None:
    pattern = parse("/" + "-".join(f"{{v{n}}}" for n in range(12)) + "/end$")
    started = time.process_time()
    assert not accepts(pattern, b"/" + b"-" * 16_000)
    assert time.process_time() - started < 0.5
