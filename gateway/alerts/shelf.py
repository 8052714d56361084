"""Where the book of alerts is kept: in the process, or in hashes of the store."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from gateway.store import StoreError, keys
from gateway.store.lines import Lines
from gateway.store.pipe import Command

AT_ONCE = 500  # commands
AWAY = (StoreError,)  # what a StoreShelf raises


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

    async def add(self, page: str, numbers: Mapping[str, int], until: int) -> None:
        """The numbers that are there are higher by so many; the page is kept until then (Unix seconds)."""


class MemoryShelf:
    """For the `memory` store: gone with the process. See Shelf."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._pages: dict[str, dict[str, str]] = {}
        self._ends: dict[str, int] = {}

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

    async def add(self, page: str, numbers: Mapping[str, int], until: int) -> None:
        for old in [one for one, end in self._ends.items() if end < self._clock()]:
            del self._ends[old]
            self._pages.pop(old, None)
        self._ends[page] = until
        for name, number in numbers.items():
            await self.put(page, name, str(int(await self.get(page, name) or 0) + number))


class StoreShelf:
    """In Redis or Valkey, in one slot of a cluster. See Shelf."""

    def __init__(self, lines: Lines, prefix: str) -> None:
        self._lines = lines
        self._prefix = prefix

    async def get(self, page: str, name: str) -> str | None:
        found = await self._ask("HGET", page, name)
        return None if found is None else str(found, "utf-8")

    async def all(self, page: str) -> dict[str, str]:
        found: dict[bytes, bytes] = await self._ask("HGETALL", page)
        return {str(name, "utf-8"): str(text, "utf-8") for name, text in found.items()}

    async def put(self, page: str, name: str, text: str) -> int:
        await self._ask("HSET", page, name, text)
        return await self.size(page)

    async def remove(self, page: str, *names: str) -> None:
        await self._ask("HDEL", page, *names)

    async def size(self, page: str) -> int:
        return int(await self._ask("HLEN", page))

    async def add(self, page: str, numbers: Mapping[str, int], until: int) -> None:
        key, names = keys.book(self._prefix, page), list(numbers)
        for start in range(0, len(names), AT_ONCE):
            some: list[Command] = [("HINCRBY", key, name, numbers[name]) for name in names[start : start + AT_ONCE]]
            calls: list[Command] = [*some, ("EXPIREAT", key, until)]
            await self._lines.at(keys.BOOK, lambda line, calls=calls: line.ask(*calls), again=False)  # type: ignore[misc]

    async def _ask(self, command: str, page: str, *words: str) -> Any:
        asked: Command = (command, keys.book(self._prefix, page), *words)
        (answer,) = await self._lines.at(keys.BOOK, lambda line: line.ask(asked))
        return answer
