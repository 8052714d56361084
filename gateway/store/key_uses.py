"""When API keys were last used, over all gateways: workers tell it now and then, who lists keys reads it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from gateway.store import keys
from gateway.store.lines import Line, Lines

KEPT = 400 * 86_400  # seconds; what was not used for longer is as if it never was
AT_ONCE = 500  # keys in one command

Uses = Mapping[str, float]  # a key's digest, as the files have it → Unix seconds


class KeyUses(Protocol):
    """Both raise StoreError."""

    async def tell(self, uses: Uses) -> None:
        """Keys were used; of several tellers the latest moment stays."""

    async def all(self) -> dict[str, float]:
        """When each was last used."""


class MemoryKeyUses:
    """In this process, for `store: memory`."""

    def __init__(self) -> None:
        self._uses: dict[str, float] = {}

    async def tell(self, uses: Uses) -> None:
        self.hear(uses)

    def hear(self, uses: Uses) -> None:
        """The same, at once."""
        for digest, moment in uses.items():
            self._uses[digest] = max(moment, self._uses.get(digest, 0.0))

    async def all(self) -> dict[str, float]:
        return dict(self._uses)


class StoreKeyUses:
    """In Redis or Valkey: a sorted set, by moment."""

    def __init__(self, lines: Lines, prefix: str, clock: Callable[[], float] = time.time) -> None:
        self._lines = lines
        self._place = keys.key_uses(prefix)
        self._clock = clock

    async def tell(self, uses: Uses) -> None:
        told = list(uses.items())
        for start in range(0, len(told), AT_ONCE):
            words: list[str | float] = []
            for digest, moment in told[start : start + AT_ONCE]:
                words += (moment, digest)
            await self._ask(("ZADD", self._place, "GT", *words))
        await self._ask(("ZREMRANGEBYSCORE", self._place, "-inf", self._clock() - KEPT))

    async def all(self) -> dict[str, float]:
        found = await self._ask(("ZRANGE", self._place, 0, -1, "WITHSCORES"))
        return {digest.decode(): float(moment) for digest, moment in found}

    async def _ask(self, command: tuple[Any, ...]) -> Any:
        async def work(line: Line) -> list[Any]:
            return await line.ask(command)

        (answer,) = await self._lines.at(keys.KEYS, work)
        return answer


def key_uses(lines: Lines | None, prefix: str) -> KeyUses:
    """`lines` None: `store: memory`."""
    return MemoryKeyUses() if lines is None else StoreKeyUses(lines, prefix)
