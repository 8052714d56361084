"""Whole numbers in JSON, found as its bytes stream by: what Python's own parser finds, wherever the bytes are cut."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from gateway.proxy.event_stream import EventAmounts
from gateway.proxy.json_amounts import JsonAmounts

PATHS = ("usage.total_tokens", "usage.in", "cost", "a.b.c", "a")
NAMES = st.sampled_from(["usage", "total_tokens", "in", "cost", "a", "b", "c", 'q"\\', "é", ""]) | st.text(max_size=5)
AMOUNTS = st.integers(-9, 10**16) | st.sampled_from([0, 5, 1.5, True, None, 10**15 - 1, 10**15, "5", 1e300])
VALUES = st.recursive(
    AMOUNTS | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=20,
)
WAYS = st.fixed_dictionaries(
    {},
    optional={
        "usage": VALUES | st.fixed_dictionaries({}, optional={"total_tokens": AMOUNTS, "in": VALUES}),
        "cost": AMOUNTS,
        "a": st.fixed_dictionaries({}, optional={"b": st.fixed_dictionaries({"c": AMOUNTS})}) | AMOUNTS,
    },
)
TEXTS = st.builds(
    lambda value, spaces, plain: json.dumps(value, indent=spaces, ensure_ascii=plain).encode(),
    WAYS | VALUES,
    st.none() | st.integers(0, 3),
    st.booleans(),
)


def wanted(text: bytes) -> dict[str, int]:
    """What is at the paths, by a parser that reads it whole."""
    found = {}
    for path in PATHS:
        at: Any = json.loads(text)
        for name in path.split("."):
            at = at.get(name) if isinstance(at, dict) else None
        if type(at) is int and 0 <= at < 10**15:
            found[path] = at
    return found


def found(text: bytes, *cuts: int, paths: tuple[str, ...] = PATHS) -> dict[str, int]:
    amounts = JsonAmounts(paths)
    places = sorted({0, *cuts, len(text)})
    for start, end in pairwise(places):
        amounts.feed(text[start:end])
    return amounts.found()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(text=TEXTS)
@example(text=b'{"usage": {"total_tokens": 5}, "usage": {"in": 1}}')
@example(text=b'{"\\u0075sage": {"total\\u005ftokens": 7}}')
@example(text=b'{"a": {"b": {"c": 1}}, "a": 3, "cost": -0}')
@example(text=b'[{"cost": 5}]')
@example(text=b'{"x": "\\\\\\"", "cost": 5}')
@example(text=b'{"usage": [{"total_tokens": 5}], "cost": 1e3, "a": 7.0}')
def test_it_finds_what_a_parser_finds_wherever_the_text_is_cut(text: bytes) -> None:
    expected = wanted(text)
    assert found(text) == expected
    assert found(text, *range(len(text))) == expected
    for cut in range(len(text)):
        assert found(text, cut) == expected


@settings(max_examples=100, deadline=None)
@given(text=TEXTS, data=st.data())
def test_of_a_text_that_is_cut_short_nothing_counts(text: bytes, data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(text) - 1))
    assert found(text[:cut]) == {} or json.loads(text[:cut]) is not None


@settings(max_examples=200, deadline=None)
@given(text=st.binary(max_size=60) | st.text('{}[]",:\\ 1acosut', max_size=60).map(str.encode))
def test_nothing_that_may_come_harms(text: bytes) -> None:
    once = found(text)
    assert found(text, *range(len(text))) == once
    assert all(0 <= units < 10**15 for units in once.values())


@pytest.mark.parametrize(
    "text", [b'{"cost": 5} x', b'{"cost": 5}}', b'{"cost": 5]', b'{"cost": 5}{"cost": 6}', b',""', b""]
)
def test_what_is_no_text_says_nothing(text: bytes) -> None:
    assert found(text) == {}


def test_it_keeps_little_of_what_is_large() -> None:
    amounts = JsonAmounts(PATHS)
    amounts.feed(b'{"' + b"n" * 9000)
    for _ in range(100):
        amounts.feed(b"n" * 9000)
    amounts.feed(b'": ' + b"1" * 9000)
    amounts.feed(b"1" * 90000 + b', "cost": 12}')
    assert amounts._string is None and amounts._number is None
    assert amounts.found() == {"cost": 12}


def test_what_is_nested_too_deep_says_nothing() -> None:
    assert found(b'{"x": ' + b"[" * 990 + b"]" * 990 + b', "cost": 5}') == {"cost": 5}
    assert found(b'{"x": ' + b"[" * 10_000 + b"]" * 10_000 + b', "cost": 5}') == {}


# --- streams of events


def streamed(stream: bytes, *cuts: int) -> dict[str, int]:
    amounts = EventAmounts(JsonAmounts(PATHS))
    places = sorted({0, *cuts, len(stream)})
    for start, end in pairwise(places):
        amounts.feed(stream[start:end])
    return amounts.found()


EVENTS = b"""\
: hello
event: chunk
data: {"cost": null, "usage": null}

data:{"usage": {"total_tokens": 3}}
id: 7

datum: {"cost": 1}

data: {"usage":
data: {"total_tokens": 41,
data: "in": 1}}

data: [DONE]

"""


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_the_last_event_that_says_it_counts_wherever_the_stream_is_cut(end: bytes) -> None:
    stream = EVENTS.replace(b"\n", end)
    for cut in range(len(stream)):
        assert streamed(stream, cut) == {"usage.total_tokens": 41, "usage.in": 1}
    assert streamed(stream, *range(len(stream))) == {"usage.total_tokens": 41, "usage.in": 1}


def test_an_event_that_is_cut_short_does_not_count() -> None:
    assert streamed(b'data: {"cost": 4}\n\ndata: {"cost": 12') == {"cost": 4}
    assert streamed(b'data: {"cost": 4}\n\ndata: {"cost": 12}') == {"cost": 12}  # whole, but for the end of the event


@settings(max_examples=100, deadline=None)
@given(texts=st.lists(TEXTS, max_size=4), end=st.sampled_from([b"\n", b"\r\n", b"\r"]), data=st.data())
def test_each_event_is_a_text_by_itself(texts: list[bytes], end: bytes, data: st.DataObject) -> None:
    stream, expected = b"", {}
    for text in texts:
        stream += b"".join(b"data: " + line + end for line in text.split(b"\n")) + end
        expected.update(wanted(text))
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=5))
    assert streamed(stream, *cuts) == expected
