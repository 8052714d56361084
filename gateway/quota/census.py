"""Reads the counters that a store has, beside the gateways that use it: nothing is held up, and nothing written."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import Any, NamedTuple

from redis.exceptions import ResponseError

from gateway.quota.counters import LARGEST
from gateway.store import StoreAway, keys
from gateway.store.connection import PATIENCE
from gateway.store.keys import Counted
from gateway.store.topology import Link, Node, Topology

SOME = 500  # keys looked at in one go: the store is held for less than a millisecond
PACKED = re.compile(rb"(\d+) (\d+) (\d+) (\d+) (\d+) ([\d,]*)(?: .*)?")


class Units(NamedTuple):
    """What a counter has; see consume.lua. `raised`: bins."""

    spent: int
    held: int
    topped: int
    epoch: int
    version: int
    raised: tuple[int, ...]

    @classmethod
    def parse(cls, packed: bytes) -> Units | None:
        """None for what is no counter."""
        match = PACKED.fullmatch(packed)
        if match is None:
            return None
        *units, raised = match.groups()
        if max(map(int, units)) > LARGEST:
            return None
        return cls(*map(int, units), tuple(int(bin_) for bin_ in raised.split(b",") if bin_))  # type: ignore[call-arg,arg-type]


class Census:
    """A walk over all counters of a prefix whose tag matches `tags`, a pattern.

    `rubbish` are keys that look like a counter's and are none.
    """

    def __init__(self, topology: Topology, prefix: str, tags: str = "*") -> None:
        self.rubbish: list[str] = []
        self._topology = topology
        self._prefix = prefix
        self._pattern = keys.pattern(prefix, tags)

    async def counters(self) -> AsyncGenerator[tuple[Counted, Units], None]:
        """Each counter that is there all the time, once, as it is at some time of the walk.

        Raises StoreAway where counters may have been missed, and what an exchange raises.
        """
        before = await self._places()
        for node in self._topology.nodes:
            link = node.link()
            try:
                await link.open(PATIENCE)
                async for some in self._keys(link):
                    for counter in await self._units(link, some):
                        yield counter
            finally:
                await link.close()
        if await self._places() != before:
            raise StoreAway("slots of the cluster have moved while it was read; begin again")

    async def now(self) -> float:
        """The store's time in Unix seconds: the latest that a server has."""
        times = [await _answer(node, "TIME") for node in self._topology.nodes]
        return max(int(seconds) + int(micro) / 1e6 for seconds, micro in times)

    async def epochs(self) -> list[int]:
        """Of the servers that have one: which life of theirs it is."""
        records = [await _answer(node, "GET", keys.epoch(self._prefix, node.tag)) for node in self._topology.nodes]
        return [int(record.split()[0]) for record in records if record]

    async def _keys(self, link: Link) -> AsyncIterator[list[bytes]]:
        """SCAN may give a key twice."""
        seen: set[bytes] = set()
        cursor = b"0"
        while True:
            cursor, found = await _only(link, "SCAN", cursor, "MATCH", self._pattern, "COUNT", SOME)
            some = [key for key in dict.fromkeys(found) if key not in seen]
            seen.update(some)
            if some:
                yield some
            if cursor == b"0":
                return

    async def _units(self, link: Link, some: Sequence[bytes]) -> list[tuple[Counted, Units]]:
        counters: list[tuple[Counted, Units]] = []
        for key, packed in zip(some, await link.exchange([("GET", key) for key in some], PATIENCE), strict=True):
            name = Counted.parse(key.decode(errors="replace"))
            units = Units.parse(packed) if isinstance(packed, bytes) else None
            if name is not None and units is not None:
                counters.append((name, units))
            elif isinstance(packed, ResponseError) and not str(packed).startswith("WRONGTYPE"):
                raise StoreAway(f"the store has changed while it was read; begin again ({packed})")
            elif packed is not None:  # it was dropped in between
                self.rubbish.append(key.decode(errors="replace"))
        return counters

    async def _places(self) -> list[bytes]:
        """Which slots each server of a cluster has; raises StoreAway while some are on their way."""
        places: list[bytes] = []
        for node in self._topology.nodes:
            if node.tag:
                nodes: bytes = await _answer(node, "CLUSTER", "NODES")
                own = next(line for line in nodes.splitlines() if b"myself" in line.split()[2]).split()
                if any(part.startswith(b"[") for part in own[8:]):
                    raise StoreAway("slots of the cluster are on their way, and their counters; begin again after that")
                places.append(b" ".join((own[0], *own[8:])))
        return sorted(places)


async def _answer(node: Node, *command: str) -> Any:
    link = node.link()
    try:
        await link.open(PATIENCE)
        return await _only(link, *command)
    finally:
        await link.close()


async def _only(link: Link, *command: str | bytes | int) -> Any:
    (answer,) = await link.exchange([command], PATIENCE)
    if isinstance(answer, ResponseError):
        raise answer
    return answer
