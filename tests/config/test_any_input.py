"""Whatever the files hold: a configuration, or a ConfigError whose every problem has a place."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.config import ConfigError, Problem, load
from gateway.config.source.compose import compose
from gateway.model import Config

from .test_good_plans import GATEWAY, ORDERS, SECRET

PARSERS = [yaml.SafeLoader, *([yaml.CSafeLoader] if yaml.__with_libyaml__ else [])]
ENVIRON = {"STORE_PASSWORD": "x", "OPS_SECRET": SECRET}
GOOD = {**yaml.safe_load(GATEWAY), **yaml.safe_load(ORDERS)}


def outcome(content: bytes) -> Config | tuple[Problem, ...]:
    """What one file with this content leads to."""
    with TemporaryDirectory() as folder:
        Path(folder, "a.yaml").write_bytes(content)
        try:
            return load(Path(folder), {"SET": "value", **ENVIRON})
        except ConfigError as error:
            assert error.problems
            return error.problems


def require_places(found: Config | tuple[Problem, ...], content: bytes) -> None:
    breaks = ("\n", "\r", "\x85", "\u2028", "\u2029")  # of YAML 1.1
    lines = 1 + sum(content.count(end.encode()) for end in breaks)
    for problem in () if isinstance(found, Config) else found:
        assert problem.file.endswith("/a.yaml")
        assert 1 <= problem.line <= lines
        assert problem.column >= 1
        assert problem.message
        assert str(problem).isprintable()


@settings(deadline=None)
@given(st.binary())
def test_any_bytes(content: bytes) -> None:
    require_places(outcome(content), content)


PIECES = st.sampled_from(
    (
        *"{}[],:'\"#?\n\té\u2028\x85",
        *("plans", "services", "gold", ": ", "  ", "- ", "&a", "*a", "!t", "|\n", ">", "<<"),
        *("${SET}", "${", "file:", "---\n", "...\n", "%YAML 1.1\n", "\\ud800"),
    )
)


@settings(deadline=None)
@given(st.one_of(st.text(), st.lists(PIECES, max_size=40).map("".join)))
def test_any_text(text: str) -> None:
    content = text.encode("utf-8", "surrogatepass")
    require_places(outcome(content), content)


@pytest.mark.parametrize("parser", PARSERS)
@settings(deadline=None)
@given(st.one_of(st.text(), st.lists(PIECES, max_size=40).map("".join)))
def test_either_parser(parser: type, text: str) -> None:
    """The C parser is not everywhere; both stop at the same depth, and neither lets an error through."""
    told: list[Problem] = []
    roots = compose(text, Path("a.yaml"), told.append, parser)
    assert roots is not None or told


@pytest.mark.parametrize("parser", PARSERS)
@pytest.mark.parametrize("opening", ["[", "{a: ", "- ", "? "])
def test_depth_is_bounded_before_the_stack_is(parser: type, opening: str) -> None:
    told: list[Problem] = []
    assert compose(opening * 10_000, Path("a.yaml"), told.append, parser) is None
    assert [problem.message for problem in told] == ["the file is nested deeper than 32 levels"]


def test_size_is_bounded() -> None:
    told: list[Problem] = []
    assert compose(f"[{'x,' * 250_000}]", Path("a.yaml"), told.append) is None
    assert [str(problem) for problem in told] == [
        "a.yaml:1:500000: the file has more than 250000 values; spread them over several files"
    ]


WORDS = st.sampled_from(
    (
        *("hits", "orders", "gold", "keycloak", "last", "limit", "true", "no", "", "1", "-1", "%"),
        *("0/day", "10/minute", "5s", "/x", "GET /orders", "sha256:", "${SET}", "${UNSET}", "file:x"),
        *("https://x:1", "http://u:p@x", "../certs/ca.pem"),
    )
)
VALUES = st.recursive(
    st.one_of(WORDS, st.text(max_size=8), st.none(), st.booleans(), st.integers(), st.floats()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(WORDS, inner, max_size=3)),
    max_leaves=6,
)


def places(value: Any, above: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every value in a structure."""
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [above, *(path for name, inner in parts for path in places(inner, (*above, name)))][1 if not above else 0 :]


@settings(deadline=None)
@given(st.sampled_from(places(GOOD)), VALUES, st.sampled_from(["replace", "remove", "add"]))
def test_any_change_of_a_good_configuration(where: tuple[Any, ...], value: Any, change: str) -> None:
    changed = copy.deepcopy(GOOD)
    holder: Any = changed
    for name in where[:-1]:
        holder = holder[name]
    if change == "remove":
        del holder[where[-1]]
    elif change == "add" and isinstance(holder, dict):
        holder[f"{where[-1]}x"] = value
    else:
        holder[where[-1]] = value
    content = json.dumps(changed).encode()  # which is YAML too
    require_places(outcome(content), content)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from([*GOOD]), VALUES))
def test_any_sections(sections: dict[str, Any]) -> None:
    content = json.dumps(sections).encode()
    require_places(outcome(content), content)


def test_every_change_was_made_to_something_good(place: Path) -> None:
    (place / "plans" / "a.yaml").write_text(json.dumps(GOOD))
    assert isinstance(load(Path("plans"), ENVIRON), Config)
