"""Names in the store."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.model import Limit, Over, Period
from gateway.store import keys

LIMIT = Limit(plan="gold", service="orders", metric="writes", period=Period.DAY, zone="Europe/Berlin", value=100)


def test_a_counter_names_whose_which_rule_and_which_window() -> None:
    key = keys.counter(keys.counters("gw", "mobile", LIMIT, "Europe/Berlin"), 1785276000.0)
    assert key == "gw:{mobile}:gold:orders:writes:day:Europe/Berlin:1785276000"


def test_a_limit_over_all_services_names_none() -> None:
    limit = Limit(plan="gold", period=Period.MINUTE, value=100)
    assert keys.counter(keys.counters("gw", "mobile", limit, "UTC"), 0.0) == "gw:{mobile}:gold::hits:minute:UTC:0"


def test_neither_value_nor_behaviour_is_part_of_the_key() -> None:
    edited = Limit(plan="gold", service="orders", metric="writes", period=Period.DAY, value=7, over=Over.ALLOW)
    assert keys.counters("gw", "mobile", edited, "UTC") == keys.counters("gw", "mobile", LIMIT, "UTC")


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        ("visitors/2001:db8::1", "visitors/2001%3Adb8%3A%3A1"),
        ("customers/{other}", "customers/%7Bother%7D"),
        ("customers/jörg smith", "customers/j%C3%B6rg%20smith"),
        ("customers/a%3Ab", "customers/a%253Ab"),
        ("customers/a@b.example", "customers/a@b.example"),
    ],
)
def test_a_scope_cannot_leave_its_tag(scope: str, expected: str) -> None:
    assert keys.tag(scope) == expected


def test_a_long_scope_is_named_by_its_digest() -> None:
    assert keys.tag("app/" + "x" * 5000).startswith("~")
    assert len(keys.tag("app/" + "x" * 5000)) == 65
    assert keys.tag("app/" + "x" * 5000) != keys.tag("app/" + "x" * 5001)


def test_an_empty_scope_is_refused() -> None:
    with pytest.raises(ValueError, match="needs a name"):
        keys.tag("")


@given(st.text(min_size=1), st.text(min_size=1))
def test_scopes_differ_as_their_tags_do(one: str, other: str) -> None:
    assert (keys.tag(one) == keys.tag(other)) == (one == other)
    assert not set("{}: ") & set(keys.tag(one))


def test_the_outbox_and_a_process_have_keys_of_their_own() -> None:
    assert keys.outbox("gw") == "gw:outbox"
    assert keys.calls("gw", "mobile", "c0ffee") == "gw:{mobile}:~c0ffee"


def test_a_server_of_a_cluster_has_keys_with_its_tag() -> None:
    made = [make("gw") for make in (keys.outbox, keys.epoch, keys.processes)]
    assert made == ["gw:outbox", "gw:epoch", "gw:processes"]
    tagged = [make("gw", "7") for make in (keys.outbox, keys.epoch, keys.processes)]
    assert tagged == ["gw:{7}:outbox", "gw:{7}:epoch", "gw:{7}:processes"]
    assert keys.outboxes("gw") == "gw:outboxes"
