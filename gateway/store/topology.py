"""What a store consists of, by its kind."""

from __future__ import annotations

from collections.abc import Sequence

from redis.asyncio import Redis

from gateway.model import Store
from gateway.store.cluster import Cluster
from gateway.store.connection import PATIENCE, dialer
from gateway.store.node import Node, Topology
from gateway.store.pipe import Link
from gateway.store.sentinel import Watched

__all__ = ["Link", "Node", "Topology", "topology"]


class Single:
    """One primary at a fixed address. See Topology."""

    def __init__(self, store: Store, patience: float) -> None:
        self._store = store
        self._nodes = (Node("the store", dialer(store, patience)),)

    @property
    def nodes(self) -> Sequence[Node]:
        """See Topology."""
        return self._nodes

    @property
    def failure(self) -> None:
        """There is nothing to learn."""

    def node(self, tag: str) -> Node:
        """See Topology."""
        return self._nodes[0]

    def client(self, tag: str = "", *, patience: float | None = None) -> Redis:
        """See Topology."""
        return dialer(self._store, patience or PATIENCE).client()

    async def refresh(self) -> bool:
        """Nothing to look for."""
        return True

    async def close(self) -> None:
        """See Topology."""


def topology(store: Store, *, patience: float = PATIENCE) -> Topology:
    """For a store of any kind but `memory`. `patience` in seconds is for a connection.

    Connects when first used. Raises ValueError for a store without address, OSError (ssl.SSLError) for a CA or
    certificate that cannot be read.
    """
    if store.kind == "cluster":
        return Cluster(store, patience)
    return Watched(store, patience) if store.kind == "sentinel" else Single(store, patience)
