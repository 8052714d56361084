"""The store as the supervisor sees it: the embedded one kept alive, any other looked at, dead workers settled for."""

from __future__ import annotations

import asyncio
import logging
import os
from contextlib import AsyncExitStack
from dataclasses import replace

from gateway.model import Config
from gateway.process.background import background
from gateway.quota.settle import Settler
from gateway.store import StoreError
from gateway.store.embedded import EmbeddedStore
from gateway.store.topology import topology
from gateway.store.vetting import Vetting
from gateway.store.visit import visiting
from gateway.workers import Worker

log = logging.getLogger("gateway.supervisor")

STORE_CHECK = 0.25  # seconds between looks at the embedded store


class StoreKeeper:
    """Of one gateway's store, from `start` until the stack unwinds."""

    def __init__(self) -> None:
        self._vetting: Vetting | None = None
        self._in_memory = False
        self._settler: Settler | None = None

    @property
    def problem(self) -> str | None:
        """Why the store is unfit, once that is known."""
        return None if self._vetting is None else self._vetting.problem

    @property
    def warnings(self) -> list[str]:
        """What the store would lose at a restart."""
        if self._in_memory:
            return ["store: memory: the end of a worker costs all usage and all sessions"]
        return [f"store: {self._vetting.cost}"] if self._vetting is not None and self._vetting.forgetful else []

    async def start(self, stack: AsyncExitStack, config: Config) -> Config:
        """The configuration with the store's URL, after starting the embedded one; raises StoreError."""
        self._in_memory = config.store.kind == "memory"
        if config.store.kind not in ("embedded", "memory"):
            await self._vet(stack, config)
        if config.store.kind == "embedded":
            config = self._start_embedded(stack, config)
            async with visiting(config.store, config.data):
                """It may be of another version of the gateway."""
        if config.store.kind != "memory":
            self._settle_with(stack, config)
        return config

    def _start_embedded(self, stack: AsyncExitStack, config: Config) -> Config:
        embedded = EmbeddedStore(config.data)
        url = embedded.start()  # in this thread: the store ends with the thread that started it
        stack.callback(embedded.stop)
        background(stack, keep_store(embedded))
        return replace(config, store=replace(config.store, url=url))

    async def _vet(self, stack: AsyncExitStack, config: Config) -> None:
        """Refuses a store that would lose counters. One that is away does not prevent the start."""
        servers = topology(config.store)
        stack.push_async_callback(servers.close)
        self._vetting = Vetting(servers, config.store)
        await self._vetting.look()
        background(stack, self._vetting.look_on())

    def _settle_with(self, stack: AsyncExitStack, config: Config) -> None:
        store = config.store
        servers = topology(store)
        stack.push_async_callback(servers.close)
        durable = store.kind == "embedded"
        self._settler = Settler(servers, prefix=store.prefix, fence=store.fence, durable=durable)

    async def settle(self, worker: Worker) -> None:
        """Reports what a worker that has ended used, returns what it had in hand, and closes its page."""
        try:
            if self._settler is not None:
                await self._settler.settle(worker.page)
        finally:
            os.close(worker.page)


async def keep_store(embedded: EmbeddedStore) -> None:
    """Starts the embedded store again when it ends by itself; its data are kept."""
    while True:
        await asyncio.sleep(STORE_CHECK)
        if not embedded.alive:
            log.error("the embedded store ended, it is started again")
            try:
                embedded.start()
                log.warning("the embedded store is back")
            except StoreError as error:
                log.error("%s", error)
