"""Applications that are suspended in the store: by hand, or for going over a limit."""

from __future__ import annotations

import time

from gateway.model import Config
from gateway.quota.suspensions import suspended
from gateway.store import StoreError
from gateway.store.lines import Lines
from gateway.store.marks import Marks, MemoryMarks
from gateway.store.marks_file import load
from gateway.store.store_marks import StoreMarks
from gateway.store.visit import visiting


async def suspended_in_store(config: Config) -> frozenset[str]:
    """Their names; raises StoreError where that cannot be told."""
    if config.store.kind == "memory":  # what a gateway on this machine has saved
        kept = MemoryMarks(time.time, lambda _: None)
        saved = load(config.data)
        kept.apply(saved[1] if saved else ())
        return _applications(config, kept)
    async with visiting(config.store, config.data) as servers:
        lines = Lines(servers, config.store)
        try:
            marks = StoreMarks(lines, config.store.prefix, time.time)
            if not await marks.look():
                raise StoreError("the store does not tell who is suspended")
            return _applications(config, marks)
        finally:
            await lines.close()


def _applications(config: Config, marks: Marks) -> frozenset[str]:
    return frozenset(suspended(marks)) & config.applications.keys()
