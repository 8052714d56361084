"""The supervisor's marks: kept in a file, and with `store: memory` passed on between the processes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from gateway.model import Config
from gateway.process.background import background
from gateway.store.lines import Lines
from gateway.store.marks import Marks, MemoryMarks, Row
from gateway.store.marks_file import save
from gateway.store.records import Records
from gateway.store.shared import share
from gateway.store.store_marks import Seen, StoreMarks
from gateway.store.topology import topology

SAVED = 0.5  # seconds between looks whether there is something to save
LOOK = 3.0  # and at the store: the workers look more often, and who asks here can wait

log = logging.getLogger("gateway.supervisor")


class MarksKeeper:
    """Of one gateway, from `start` until the stack unwinds. `broadcast` tells the workers."""

    marks: Marks
    records: Records
    lines: Lines | None

    def __init__(self, broadcast: Callable[[list[Any]], None]) -> None:
        self._broadcast = broadcast
        self._folder = Path()
        self._saved = -1  # the version that the file has

    async def start(self, stack: AsyncExitStack, config: Config) -> None:
        """`config` with the store's URL."""
        servers = None
        if config.store.kind != "memory":
            servers = topology(config.store)
            stack.push_async_callback(servers.close)
        self._folder = config.data
        shared = await share(stack, config.store, servers, config.data, self._told, LOOK)
        self.records, self.marks, self.lines = shared
        await self._save()
        stack.push_async_callback(self._save)
        background(stack, self._keep())

    def hear(self, row: list[Any]) -> None:
        """What a worker of `store: memory` has set."""
        self.marks.apply([Row(*row)])

    def _told(self, row: Row) -> None:
        self._broadcast(list(row))

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(SAVED)
            await self._save()

    async def _save(self) -> None:
        """If something has changed. Trouble with the file is told, and tried again at the next change."""
        marks = self.marks
        if not marks.known or marks.version == self._saved or (isinstance(marks, MemoryMarks) and not marks.version):
            return
        self._saved = marks.version
        seen = marks.seen if isinstance(marks, StoreMarks) else Seen()
        try:
            await asyncio.to_thread(save, self._folder, seen, list(marks.rows.values()))
        except OSError as error:
            log.error("what is revoked cannot be saved in %s: %s", self._folder, error)
