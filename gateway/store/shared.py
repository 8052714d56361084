"""What the processes of all gateways share beside counters, as one process has it: its records and its marks."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import NamedTuple

from gateway.model import Store
from gateway.store.lines import Lines
from gateway.store.marks import Marks, MemoryMarks, Row
from gateway.store.marks_file import load
from gateway.store.memory_records import MemoryRecords
from gateway.store.node import Topology
from gateway.store.records import Records, StoreRecords
from gateway.store.store_marks import EVERY, StoreMarks


class Shared(NamedTuple):
    """Of one process."""

    records: Records
    marks: Marks
    lines: Lines | None = None  # to the store's servers; None: `store: memory`


async def share(
    stack: AsyncExitStack,
    store: Store,
    servers: Topology | None,
    folder: Path,
    tell: Callable[[Row], None],
    every: float = EVERY,
) -> Shared:
    """Until the stack unwinds. `servers` are the store's, None for `store: memory`, with which `tell` hears of marks
    that are set here. Begins with the marks that the gateway saved in `folder`; a store that is away prevents nothing.
    `every`: seconds between looks for marks.
    """
    saved = load(folder)
    if servers is None:
        memory = MemoryMarks(time.time, tell)
        memory.apply(saved[1] if saved else ())
        return Shared(MemoryRecords(time.time), memory)
    lines = Lines(servers, store)
    stack.push_async_callback(lines.close)
    marks = StoreMarks(lines, store.prefix, time.time, every)
    if saved:
        marks.remember(*saved)
    await marks.look()
    looking = asyncio.create_task(marks.run())

    async def end() -> None:
        looking.cancel()
        with suppress(asyncio.CancelledError):
            await looking

    stack.push_async_callback(end)
    return Shared(StoreRecords(lines, store), marks, lines)
