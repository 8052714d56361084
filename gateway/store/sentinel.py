"""Where a primary is, as its Sentinels say."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

from redis.exceptions import ResponseError

from gateway.model import Address, Store
from gateway.store import StoreAway, StoreError
from gateway.store.connection import Dialer, dialer, fixed
from gateway.store.several import ask_several


class View(NamedTuple):
    """What one Sentinel says: a greater epoch is a later failover."""

    epoch: int
    primary: Address
    up: bool


class Sentinels:
    """Asks all of them at each connect. A majority is waited for, and the view of the latest failover wins: one
    Sentinel that was cut off does not lead back to a former primary.
    """

    def __init__(self, store: Store, patience: float) -> None:
        if not store.service:
            raise ValueError("what Sentinel calls the primary is not said")
        self._service = store.service
        self._seconds = patience / 2  # the other half is for the primary
        theirs = replace(store, username=store.sentinel_username, password=store.sentinel_password, database=0)
        self._dialers = [dialer(theirs, self._seconds, fixed(address)) for address in store.nodes]

    async def find(self) -> Address:
        """Raises StoreAway, or StoreError where waiting does not help."""
        majority = len(self._dialers) // 2 + 1
        views, failures = await ask_several(
            (self._ask(each) for each in self._dialers), lambda views: len(views) >= majority, self._seconds
        )
        if not views:
            unknown = next((error for error in failures if isinstance(error, StoreError)), None)
            raise unknown or StoreAway(f"no Sentinel tells where {self._service!r} is: {failures[0]}")
        latest = max(views)
        if not latest.up:
            raise StoreAway(f"the Sentinels see that {self._service!r} is down")
        return latest.primary

    async def _ask(self, sentinel: Dialer) -> View:
        async with sentinel.client() as client:
            try:
                state: Any = await client.sentinel_master(self._service)
            except ResponseError as error:
                if "No such master" not in str(error):
                    raise
                raise StoreError(f"Sentinel knows no primary {self._service!r}; see store.service") from None
        primary = Address(state["ip"], int(state["port"]))
        return View(int(state["config-epoch"]), primary, not (state["is_sdown"] or state["is_odown"]))
