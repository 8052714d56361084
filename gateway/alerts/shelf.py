"""Where the book of alerts is kept: in the process, or in hashes of the store."""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

from redis.exceptions import RedisError

from gateway.store import StoreAway, StoreError, keys
from gateway.store.cancelling import heed_cancellation
from gateway.store.node import Topology

AT_ONCE = 4  # calls
REST = 1.0  # seconds after a failure in which nothing is asked
AWAY = (RedisError, StoreError, OSError)  # what a StoreShelf raises


class Shelf(Protocol):
    """Pages of text by name. Raises one of AWAY where the store is."""

    async def get(self, page: str, name: str) -> str | None:
        """None where nothing is."""

    async def all(self, page: str) -> dict[str, str]:
        """The whole page."""

    async def put(self, page: str, name: str, text: str) -> int:
        """Writes; how many the page has then."""

    async def remove(self, page: str, *names: str) -> None:
        """Nothing happens for what is not there."""

    async def size(self, page: str) -> int:
        """How many the page has."""


class MemoryShelf:
    """For the `memory` store: gone with the process. See Shelf."""

    def __init__(self) -> None:
        self._pages: dict[str, dict[str, str]] = {}

    async def get(self, page: str, name: str) -> str | None:
        return self._pages.get(page, {}).get(name)

    async def all(self, page: str) -> dict[str, str]:
        return dict(self._pages.get(page, {}))

    async def put(self, page: str, name: str, text: str) -> int:
        self._pages.setdefault(page, {})[name] = text
        return len(self._pages[page])

    async def remove(self, page: str, *names: str) -> None:
        for name in names:
            self._pages.get(page, {}).pop(name, None)

    async def size(self, page: str) -> int:
        return len(self._pages.get(page, {}))


class StoreShelf:
    """In Redis or Valkey, in one slot of a cluster. See Shelf."""

    def __init__(self, topology: Topology, prefix: str, patience: float) -> None:
        """`patience` in seconds for an answer."""
        self._topology = topology
        self._prefix = prefix
        self._slots = asyncio.Semaphore(AT_ONCE)  # each call has a connection of its own
        self._rest_until = 0.0
        self._redis: Any = topology.client(keys.BOOK, patience=patience)

    async def get(self, page: str, name: str) -> str | None:
        found = await self._ask("HGET", page, name)
        return None if found is None else str(found, "utf-8")

    async def all(self, page: str) -> dict[str, str]:
        found: Any = await self._ask("HGETALL", page)
        return {str(name, "utf-8"): str(text, "utf-8") for name, text in found.items()}

    async def put(self, page: str, name: str, text: str) -> int:
        await self._ask("HSET", page, name, text)
        return await self.size(page)

    async def remove(self, page: str, *names: str) -> None:
        await self._ask("HDEL", page, *names)

    async def size(self, page: str) -> int:
        return int(await self._ask("HLEN", page))

    async def close(self) -> None:
        """Leave the store."""
        await self._redis.aclose()

    async def _ask(self, command: str, page: str, *words: str) -> Any:
        """Who waited for a turn while others waited in vain does not wait for the same: alerts must go on."""
        async with self._slots:
            if asyncio.get_running_loop().time() < self._rest_until:
                raise StoreAway("the store did not answer a moment ago")
            try:
                return await self._ask_twice(command, page, *words)
            except AWAY:
                self._rest_until = asyncio.get_running_loop().time() + REST
                raise

    async def _ask_twice(self, command: str, page: str, *words: str) -> Any:
        """Once more where the page is now, as it may have moved."""
        key = keys.book(self._prefix, page)
        try:
            return await self._redis.execute_command(command, key, *words)
        except AWAY:
            heed_cancellation()
            await self._topology.refresh()
            await self._redis.connection_pool.disconnect(inuse_connections=False)
            return await self._redis.execute_command(command, key, *words)
        finally:
            heed_cancellation()
