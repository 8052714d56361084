"""A primary that Sentinels watch: where it is, as they say."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from gateway.model import Address, Store
from gateway.store import StoreAway, StoreError
from gateway.store.connection import PATIENCE, dialer, fixed
from gateway.store.look import Look
from gateway.store.node import Node
from gateway.store.refusals import explain
from gateway.store.several import ask_several

EVERY = 1.0  # seconds between looks while links are used: a former primary may not know yet that it is one


class View(NamedTuple):
    """What one Sentinel says: a greater epoch is a later failover."""

    epoch: int
    primary: Address
    up: bool


class Sentinels:
    """Asks all of them. A majority is waited for, and the view of the latest failover wins: one Sentinel that was cut
    off does not lead back to a former primary.
    """

    def __init__(self, store: Store, patience: float) -> None:
        if not store.service:
            raise ValueError("what the Sentinels call the primary is not said")
        self._store = store
        self._service = store.service
        self._seconds = patience / 2  # the other half is for the primary
        theirs = replace(store, username=store.sentinel_username, password=store.sentinel_password, database=0)
        self._clients = [dialer(theirs, self._seconds, fixed(address)).client() for address in store.nodes]

    async def find(self) -> Address:
        """Raises StoreAway, or StoreError where waiting does not help."""
        majority = len(self._clients) // 2 + 1
        views, failures = await ask_several(
            map(self._ask, self._clients), lambda views: len(views) >= majority, self._seconds
        )
        if not views:
            reasons = [explain(error, self._store, whom="sentinel") for error in failures]
            lasting = next((error for error in reasons if not isinstance(error, StoreAway)), None)
            raise lasting or StoreAway(f"no Sentinel tells where {self._service!r} is: {failures[0]}")
        latest = max(views)
        if not latest.up:
            raise StoreAway(f"the Sentinels see that {self._service!r} is down")
        return latest.primary

    async def close(self) -> None:
        await asyncio.gather(*(client.aclose() for client in self._clients))

    async def _ask(self, sentinel: Redis) -> View:
        try:
            state: Any = await sentinel.sentinel_master(self._service)
        except ResponseError as error:
            if "No such master" not in str(error):
                raise
            raise StoreError(f"Sentinel knows no primary {self._service!r}; see store.service") from None
        primary = Address(state["ip"], int(state["port"]))
        return View(int(state["config-epoch"]), primary, not (state["is_sdown"] or state["is_odown"]))


class Watched:
    """See Topology. The Sentinels are asked at each connect, and now and then while a link is used."""

    def __init__(self, store: Store, patience: float) -> None:
        self._store = store
        self._sentinels = Sentinels(store, patience)
        self._look = Look(self._find_again, EVERY)
        self._node = Node(f"{store.service} behind Sentinel", dialer(store, patience, self._find), self._at)
        self._address: Address | None = None
        self.failure: BaseException | None = None

    @property
    def nodes(self) -> Sequence[Node]:
        """See Topology."""
        return (self._node,)

    def node(self, tag: str) -> Node:
        """See Topology."""
        return self._node

    def client(self, tag: str = "", *, patience: float | None = None) -> Redis:
        """See Topology."""
        return dialer(self._store, patience or PATIENCE, self._find).client()

    async def refresh(self) -> bool:
        """See Topology."""
        return await self._look.now()

    async def close(self) -> None:
        """See Topology."""
        await self._look.close()
        await self._sentinels.close()

    def _at(self) -> Address | None:
        self._look.often()
        return self._address

    async def _find(self) -> Address:
        self._address = await self._sentinels.find()
        return self._address

    async def _find_again(self) -> bool:
        try:
            await self._find()
        except StoreError as error:
            self.failure = error
        else:
            self.failure = None
        return self.failure is None
