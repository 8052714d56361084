"""A cluster's hash slots, and who has them."""

from __future__ import annotations

import binascii
from collections.abc import Container
from itertools import count
from typing import Any, NamedTuple

from gateway.model import Address

SLOTS = 16384


def slot(tag: str) -> int:
    """The slot of what is in a key's braces, or of a whole key without (CRC16 of the XMODEM kind)."""
    return binascii.crc_hqx(tag.encode(), 0) % SLOTS


def tag_in(slots: Container[int]) -> str:
    """The first of "0", "1", "2" … whose slot is among these.

    Their slots are as good as random, so it rarely changes while slots move one after another.
    """
    return next(tag for tag in map(str, count()) if slot(tag) in slots)


class Shard(NamedTuple):
    """A primary and its replicas. `members` are the identities of all, `primary` that of the first."""

    primary: str
    members: frozenset[str]
    address: Address
    slots: set[int]


class Map(NamedTuple):
    """What one server says of its cluster: whether it serves, how recent that is, and the shards with slots."""

    serving: bool
    epoch: int
    shards: tuple[Shard, ...]


def read_map(info: bytes, slots: list[Any], host: str) -> Map:
    """From the answers to CLUSTER INFO and CLUSTER SLOTS; `host` is the server's that was asked."""
    state = dict(line.split(":", 1) for line in info.decode().split() if ":" in line)
    shards: dict[str, Shard] = {}
    for first, last, *servers in slots:
        names = [server[2].decode() for server in servers]
        address = Address((servers[0][0] or b"").decode() or host, servers[0][1])
        shard = shards.setdefault(names[0], Shard(names[0], frozenset(names), address, set()))
        shard.slots.update(range(first, last + 1))
    return Map(state["cluster_state"] == "ok", int(state["cluster_current_epoch"]), tuple(shards.values()))
