"""What a worker begins with: its event loop, the descriptors that it inherits, and what it tells now and then: how much
it refuses, and when keys were used.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from typing import Any

from gateway.alerts.closings import add_refused
from gateway.alerts.shelf import AWAY, StoreShelf
from gateway.control import Channel
from gateway.gate import Ledger, Turns
from gateway.quota.memory import PREFIX
from gateway.quota.refusals import Refusals
from gateway.quota.store import StoreLedger
from gateway.store import StoreError
from gateway.store.key_uses import key_uses
from gateway.store.shared import Shared

KEYS_EVERY = 10.0  # seconds between what is told of keys


def numbers(text: str) -> dict[int, int]:
    """Descriptors, and which listeners they are."""
    return {int(fd): int(listener) for fd, _, listener in (pair.partition(":") for pair in text.split(",") if pair)}


def loop_factory() -> Any:
    """uvloop where it is installed."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop
    return uvloop.new_event_loop


def make_turns(ledger: Ledger, on_end: Callable[[str, float], None]) -> Turns:
    """Where requests wait, by the ledger's clock and the running loop's timers."""
    clock = ledger.clock.earliest if isinstance(ledger, StoreLedger) else time.time
    return Turns(ledger, asyncio.get_running_loop(), clock, on_end)


def count_refusals(stack: AsyncExitStack, shared: Shared, prefix: str, channel: Channel) -> Refusals:
    """Told to the store, or with `store: memory` to the supervisor, until the stack unwinds."""

    async def tell(counts: Mapping[str, int]) -> None:
        if shared.lines is None:
            channel.send("refused", counts=dict(counts))
        else:
            await add_refused(StoreShelf(shared.lines, prefix), counts)

    refusals = Refusals(PREFIX if shared.lines is None else prefix, tell, AWAY)
    running = asyncio.create_task(refusals.run())
    stack.push_async_callback(refusals.report)
    stack.callback(running.cancel)
    return refusals


def tell_key_uses(
    stack: AsyncExitStack, shared: Shared, prefix: str, channel: Channel, take: Callable[[], dict[str, float]]
) -> None:
    """Has all gateways know when keys were used, until the stack unwinds. `take` gives those that were since."""
    store = None if shared.lines is None else key_uses(shared.lines, prefix)
    untold: dict[str, float] = {}

    async def tell() -> None:
        untold.update(take())
        if not untold:
            return
        if store is None:
            channel.send("used", uses=untold)
        else:
            try:
                await store.tell(untold)
            except StoreError:  # told the next time
                return
        untold.clear()

    async def run() -> None:
        while True:
            await asyncio.sleep(KEYS_EVERY)
            await tell()

    running = asyncio.create_task(run())
    stack.push_async_callback(tell)
    stack.callback(running.cancel)
