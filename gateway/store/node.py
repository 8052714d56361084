"""What the store consists of: one server, or the primaries of a cluster."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from redis.asyncio import Redis

from gateway.model import Address
from gateway.store.connection import Dialer
from gateway.store.pipe import Link, Pipe


class Node:
    """One primary, whichever server that is at the time; compared by object.

    `name` is for logs. `tag` is "", but in a cluster a hash tag of which the node owns the slot. They change when a
    cluster does; the node stays.
    """

    def __init__(self, name: str, dialer: Dialer, at: Callable[[], Address | None] = lambda: None) -> None:
        """`at` tells where the primary is, where that is known without asking: links to elsewhere are left."""
        self.name = name
        self.tag = ""
        self._dialer = dialer
        self._at = at

    def __repr__(self) -> str:
        return f"<Node {self.name}>"

    def link(self) -> Link:
        """A new connection, unopened; each `open` leads to who is the primary by then."""
        return Pipe(self._dialer.connection, self._at)


class Topology(Protocol):
    """The store's nodes. It retries nothing."""

    @property
    def nodes(self) -> Sequence[Node]:
        """All of them; a cluster has none before it was first refreshed."""

    @property
    def failure(self) -> BaseException | None:
        """Why the latest `refresh` learned nothing."""

    def node(self, tag: str) -> Node:
        """Where the keys with the hash tag `{tag}` are. Raises StoreAway while nobody is known to have them."""

    def client(self, tag: str = "", *, patience: float | None = None) -> Redis:
        """An ordinary client of the node that has `tag` at the time it connects. `patience` in seconds for an answer.

        Close it. After MOVED: `refresh`, and disconnect its pool.
        """

    async def refresh(self) -> bool:
        """Look where everything is: after MOVED, ASK or CLUSTERDOWN, or when a node is away. Does not raise.

        False where nobody tells, and all is left as it was. Callers at one time share one look; it waits a moment
        after the one before.
        """

    async def close(self) -> None:
        """Stop looking. Links and clients are their owners' to close."""
