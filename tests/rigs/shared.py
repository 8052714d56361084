"""Records and marks over a store, as processes of gateways have them."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count

from gateway.model import Store
from gateway.store.lines import Lines
from gateway.store.memory_records import MemoryRecords
from gateway.store.records import Records, StoreRecords
from gateway.store.store_marks import StoreMarks
from gateway.store.topology import topology

prefixes = (f"s{number}" for number in count())


@asynccontextmanager
async def lines(store: Store, patience: float = 5.0) -> AsyncIterator[Lines]:
    """Those of one process."""
    servers = topology(store)
    lines = Lines(servers, store, patience)
    try:
        await servers.refresh()
        yield lines
    finally:
        await lines.close()
        await servers.close()


@asynccontextmanager
async def records(store: Store, patience: float = 5.0) -> AsyncIterator[Records]:
    """Those of one process; of a store of kind `memory` too."""
    if store.kind == "memory":
        yield MemoryRecords(time.time)
        return
    async with lines(store, patience) as some:
        yield StoreRecords(some, store)


@asynccontextmanager
async def marks(store: Store, patience: float = 5.0) -> AsyncIterator[StoreMarks]:
    """Those of one process, which looks when the test tells it to."""
    async with lines(store, patience) as some:
        found = StoreMarks(some, store.prefix, time.time)
        await found.look()
        yield found
