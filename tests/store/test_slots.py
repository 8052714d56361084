"""Hash slots, the tags that name servers by them, and what a server tells of its cluster."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.model import Address
from gateway.store.slots import SLOTS, Map, Shard, read_map, slot, tag_in

INFO = b"cluster_state:ok\r\ncluster_slots_assigned:16384\r\ncluster_current_epoch:7\r\n"


@pytest.mark.parametrize(("tag", "number"), [("123456789", 0x31C3), ("foo", 12182), ("", 0), ("user1000", 3443)])
def test_slots_are_those_of_the_specification(tag: str, number: int) -> None:
    assert slot(tag) == number


@given(st.sets(st.integers(0, SLOTS - 1), min_size=1, max_size=4000))
def test_a_tag_is_in_one_of_the_slots_and_a_short_number(slots: set[int]) -> None:
    tag = tag_in(slots)
    assert slot(tag) in slots
    assert len(tag) <= 6


@given(st.sets(st.integers(0, SLOTS - 1), min_size=2, max_size=4000), st.data())
def test_a_tag_changes_only_with_its_slot(slots: set[int], data: st.DataObject) -> None:
    gone = data.draw(st.sampled_from(sorted(slots)))
    if gone != slot(tag_in(slots)):
        assert tag_in(slots - {gone}) == tag_in(slots)


def test_a_map_is_read() -> None:
    slots = [
        [0, 1, [b"10.0.0.1", 7000, b"a", []], [b"10.0.0.2", 7001, b"b", []]],
        [5, 5, [b"10.0.0.3", 7002, b"c", []]],
        [7, 8, [b"10.0.0.1", 7000, b"a", []]],
    ]
    assert read_map(INFO, slots, "seed") == Map(
        True,
        7,
        (
            Shard("a", frozenset("ab"), Address("10.0.0.1", 7000), {0, 1, 7, 8}),
            Shard("c", frozenset("c"), Address("10.0.0.3", 7002), {5}),
        ),
    )


@pytest.mark.parametrize("host", [None, b""])
def test_a_server_that_does_not_know_its_own_address_has_the_one_it_was_asked_at(host: bytes | None) -> None:
    (shard,) = read_map(INFO, [[0, 9, [host, 7000, b"a", []]]], "seed").shards
    assert shard.address == Address("seed", 7000)


def test_a_cluster_that_does_not_serve_says_so() -> None:
    assert not read_map(INFO.replace(b":ok", b":fail"), [], "seed").serving
