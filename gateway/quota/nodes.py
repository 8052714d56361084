"""The store's nodes as a ledger uses them: which one has a scope, and what is ready to be asked of it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

from gateway.quota.dispatch import Dispatcher
from gateway.quota.errands import Errand
from gateway.quota.scopes import Scope
from gateway.store import StoreAway
from gateway.store.topology import Node, Topology


class Lane:
    """A node's dispatcher, and what waits for it."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self.dispatcher = dispatcher
        self.scopes: dict[Scope, None] = {}
        self.errands: deque[Errand] = deque()


class Nodes:
    """`make(node, on_moved)` makes a node's dispatcher."""

    def __init__(self, topology: Topology, make: Callable[[Node, Callable[[], None]], Dispatcher]) -> None:
        self._topology = topology
        self._make = make
        self._lanes: dict[Node, Lane] = {}
        self._moving: asyncio.Task[Any] | None = None

    async def start(self) -> None:
        """Find them, and learn their time."""
        await self._topology.refresh()
        for node in self._topology.nodes:
            await self._lane(node).dispatcher.ping()

    async def close(self) -> None:
        """Finish what is under way, and close the connections."""
        for dispatcher in self.dispatchers:
            await dispatcher.close()
        if self._moving is not None:
            self._moving.cancel()

    @property
    def dispatchers(self) -> list[Dispatcher]:
        """One for each node that was used."""
        return [lane.dispatcher for lane in self._lanes.values()]

    def of(self, tag: str) -> Node | None:
        """Which node has a tag; None while nobody is known to."""
        try:
            return self._topology.node(tag)
        except StoreAway:
            self._look()
            return None

    def away(self, scope: Scope) -> bool:
        """Whether the node that has a scope is known to be away, or to grant nothing."""
        node = self.of(scope.tag)
        if node is None:
            return True
        dispatcher = self._lane(node).dispatcher
        return dispatcher.away or dispatcher.fenced

    def make_ready(self, scope: Scope) -> None:
        """Let the scope's calls be made, if there is none under way."""
        if scope.call is None and not scope.resting:
            node = self.of(scope.tag)
            if node is not None:
                lane = self._lane(node)
                lane.scopes[scope] = None
                lane.dispatcher.wake()

    def send(self, tag: str, errand: Errand) -> bool:
        """Let a call be made that is about a scope with this tag; False if nobody is known to have it."""
        node = self.of(tag)
        if node is None:
            return False
        lane = self._lane(node)
        lane.errands.append(errand)
        lane.dispatcher.wake()
        return True

    def next_calls(self, node: Node, most: int, call: Callable[[Scope], Errand | None]) -> list[Errand]:
        """Calls to a node, at most so many; `call` makes those of the scopes that are ready."""
        lane, calls = self._lane(node), list[Errand]()
        while lane.errands and len(calls) < most:
            calls.append(lane.errands.popleft())
        while lane.scopes and len(calls) < most:
            scope = next(iter(lane.scopes))
            del lane.scopes[scope]
            if scope.call is not None:
                continue  # making it has made the scope ready again: its books are kept by one at a time
            if self.of(scope.tag) is not node:
                self.make_ready(scope)
            elif (made := call(scope)) is not None:
                calls.append(made)
        return calls

    def heartbeat(self) -> None:
        """See that each node still is in its epoch."""
        for node in self._topology.nodes:
            self._lane(node).dispatcher.heartbeat()

    def _lane(self, node: Node) -> Lane:
        lane = self._lanes.get(node)
        if lane is None:
            lane = self._lanes[node] = Lane(self._make(node, self._look))
        return lane

    def _look(self) -> None:
        """A node is not what it was: look where everything is."""
        if self._moving is None or self._moving.done():
            self._moving = asyncio.get_running_loop().create_task(self._topology.refresh())
