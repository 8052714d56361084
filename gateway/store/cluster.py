"""A Redis Cluster: which primary has which slots, followed through failovers and moves."""

from __future__ import annotations

import logging
import random
from collections.abc import Mapping, Sequence

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from gateway.model import Address, Store
from gateway.store import StoreAway
from gateway.store.connection import PATIENCE, dialer, fixed
from gateway.store.look import Look
from gateway.store.node import Node
from gateway.store.pipe import ask, drop
from gateway.store.several import ask_several
from gateway.store.slots import SLOTS, Map, Shard, read_map, slot, tag_in

EVERY = 0.1  # seconds between looks
AT_ONCE = 3  # servers that are asked at the same time

log = logging.getLogger("gateway.store")


class Cluster:
    """See Topology. A node is known again by its primary, any server that was in its shard, or its slots."""

    def __init__(self, store: Store, patience: float) -> None:
        self._store = store
        self._seconds = patience
        self._seeds = list(store.nodes)
        self._dialer = dialer(store, patience, fixed(store.nodes[0]))
        self._shards: dict[Node, Shard] = {}
        self._owners: list[Node | None] = [None] * SLOTS
        self._epoch = 0
        self._look = Look(self._find, EVERY)
        self.failure: BaseException | None = None

    @property
    def nodes(self) -> Sequence[Node]:
        """See Topology."""
        return tuple(self._shards)

    def node(self, tag: str) -> Node:
        """See Topology."""
        owner = self._owners[slot(tag)]
        if owner is None:
            raise StoreAway("it is not known which server of the cluster has this slot")
        return owner

    def client(self, tag: str = "", *, patience: float | None = None) -> Redis:
        """See Topology."""

        async def find() -> Address:
            self._look.often()
            return self._shards[self.node(tag)].address

        return dialer(self._store, patience or PATIENCE, find).client()

    async def refresh(self) -> bool:
        """See Topology."""
        return await self._look.now()

    async def close(self) -> None:
        """See Topology."""
        await self._look.close()

    async def _find(self) -> bool:
        found = await self._ask()
        if found is not None and (found.serving or not self._shards):
            self._adopt(found)
        if found is not None:
            self.failure = None if found.serving else StoreAway("some slots of the cluster have no server now")
        return self.failure is None

    async def _ask(self) -> Map | None:
        """The most recent map that a few servers tell: a server that is cut off keeps an old one."""
        maps: list[Map] = []
        addresses = self._addresses()
        for start in range(0, len(addresses), AT_ONCE):
            some = [self._ask_one(address) for address in addresses[start : start + AT_ONCE]]
            answers, failures = await ask_several(some, lambda maps: any(map(self._is_recent, maps)), self._seconds)
            maps += answers
            if any(map(self._is_recent, answers)):
                break
            self.failure = failures[0] if failures else None
        return max(maps, key=lambda found: (found.serving, found.epoch), default=None)

    def _is_recent(self, found: Map) -> bool:
        return found.serving and found.epoch >= self._epoch

    def _addresses(self) -> list[Address]:
        """Whom to ask: the primaries in any order, then those of the configuration."""
        known = [shard.address for shard in self._shards.values()]
        random.shuffle(known)
        return [*known, *(seed for seed in self._seeds if seed not in known)]

    async def _ask_one(self, address: Address) -> Map:
        connection = self._dialer.to(fixed(address)).connection()
        try:
            await connection.connect()  # type: ignore[no-untyped-call]
            info, slots = await ask(connection, [("CLUSTER", "INFO"), ("CLUSTER", "SLOTS")])
            for answer in (info, slots):
                if isinstance(answer, ResponseError):
                    raise answer
            return read_map(info, slots, address.host)
        finally:
            await drop(connection)

    def _adopt(self, found: Map) -> None:
        """Take a map over; nodes that persist stay."""
        matched = _match(self._shards, found.shards)
        self._shards = {matched.get(shard.primary) or self._node(): shard for shard in found.shards}
        self._owners = [None] * SLOTS
        self._epoch = found.epoch
        for node, shard in self._shards.items():
            if node.name not in ("", str(shard.address)):
                log.info("a primary of the cluster is at %s, was at %s", shard.address, node.name)
            node.name, node.tag = str(shard.address), tag_in(shard.slots)
            for number in shard.slots:
                self._owners[number] = node

    def _node(self) -> Node:
        """A new one, which is to be where its shard's primary is."""

        def at() -> Address | None:
            shard = self._shards.get(node)
            return None if shard is None else shard.address

        async def find() -> Address:
            self._look.often()  # whoever connects anew may have lost a server that is no primary any more
            address = at()
            if address is None:
                raise StoreAway("the server has left the cluster, or has no slots any more")
            return address

        node = Node("", self._dialer.to(find), at)
        return node


def _match(nodes: Mapping[Node, Shard], shards: Sequence[Shard]) -> dict[str, Node]:
    """Which node each shard is, by its primary: the same primary, else any common member, else most of its slots."""
    left = dict(nodes)
    matched: dict[str, Node] = {}
    for kin in (_same_primary, _some_member, _most_slots):
        for shard in shards:
            node = next((node for node, old in left.items() if kin(old, shard)), None)
            if node is not None and shard.primary not in matched:
                matched[shard.primary] = node
                del left[node]
    return matched


def _same_primary(one: Shard, other: Shard) -> bool:
    return one.primary == other.primary


def _some_member(one: Shard, other: Shard) -> bool:
    return not one.members.isdisjoint(other.members)


def _most_slots(one: Shard, other: Shard) -> bool:
    """A replica that was promoted before any map listed it."""
    return 2 * len(one.slots & other.slots) > len(one.slots)
