"""What a store consists of, by its kind."""

from __future__ import annotations

from collections.abc import Sequence

from redis.asyncio import Redis

from gateway.model import Store
from gateway.store.cluster import Cluster
from gateway.store.connection import PATIENCE, dialer
from gateway.store.node import Node, Topology
from gateway.store.pipe import Link
from gateway.store.sentinel import Sentinels

__all__ = ["Link", "Node", "Single", "Topology", "topology"]


class Single:
    """One primary at a fixed address, or where its Sentinels say. See Topology."""

    def __init__(self, store: Store, patience: float) -> None:
        self._store = store
        self._find = Sentinels(store, patience).find if store.kind == "sentinel" else None
        name = f"{store.service} behind Sentinel" if self._find is not None else "the store"
        self._nodes = (Node(name, dialer(store, patience, self._find)),)

    @property
    def nodes(self) -> Sequence[Node]:
        """See Topology."""
        return self._nodes

    def node(self, tag: str) -> Node:
        """See Topology."""
        return self._nodes[0]

    def client(self, tag: str = "", *, patience: float | None = None) -> Redis:
        """See Topology."""
        return dialer(self._store, patience or PATIENCE, self._find).client()

    async def refresh(self) -> bool:
        """Nothing to do: where the primary is is found out at each connect."""
        return True

    async def close(self) -> None:
        """See Topology."""


def topology(store: Store, *, patience: float = PATIENCE) -> Topology:
    """For a store of any kind but `memory`. `patience` in seconds is for a connection.

    Connects when first used. Raises ValueError for a store without address, OSError (ssl.SSLError) for a CA or
    certificate that cannot be read.
    """
    return Cluster(store, patience) if store.kind == "cluster" else Single(store, patience)
