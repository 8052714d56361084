"""A store is looked at before it is used; one that is away, as soon as it is back."""

from __future__ import annotations

import asyncio
import logging

from redis.asyncio import Redis

from gateway.store import StoreAway, StoreError
from gateway.store.check import Persistence, inspect

AGAIN = 1.0  # seconds between looks at a store that is away

log = logging.getLogger("gateway.store")


class Vetting:
    """`problem` says why the store is unfit, once that is known."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self.problem: str | None = None

    async def look(self) -> bool:
        """Whether it answered; raises StoreError if it is unfit."""
        try:
            facts = await inspect(self._redis)
        except StoreAway as error:
            log.warning("%s", error)
            return False
        log.info("the store is %s, durable: %s", facts.server, facts.persistence)
        if facts.persistence in (Persistence.NONE, Persistence.SNAPSHOTS):
            log.warning("a restart of the store may forget usage, and limits start afresh: set `appendonly yes` in it")
        return True

    async def look_on(self) -> None:
        """Until it has answered; an unfit store becomes the `problem`."""
        while True:
            await asyncio.sleep(AGAIN)
            try:
                await inspect(self._redis)
            except StoreAway:
                continue
            except StoreError as error:
                self.problem = str(error)
                log.error("%s", error)
            return
