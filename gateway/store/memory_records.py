"""Records in this process, for `store: memory`: gone with it, and shared with nobody."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import NamedTuple

from gateway.store.records import Use, fit, life

SWEEP = 1_000  # records kept before those that have ended are first looked for


class Kept(NamedTuple):
    """A value, and when its life ends."""

    value: bytes
    end: float


class MemoryRecords:
    """See Records. `clock` gives Unix seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._since = clock()
        self._records: dict[tuple[str, str], Kept] = {}
        self._owned: dict[tuple[str, str], dict[str, float]] = {}
        self._sweep_at = SWEEP

    async def get(self, kind: str, name: str) -> bytes | None:
        kept = self._records.get((kind, name))
        return None if kept is None or kept.end <= self._clock() else kept.value

    async def put(self, kind: str, name: str, value: bytes, seconds: float, *, only_new: bool = False) -> bool:
        if only_new and await self.get(kind, name) is not None:
            return False
        self._records[kind, name] = Kept(fit(value), self._end(seconds))
        if len(self._records) > self._sweep_at:
            self._sweep()
        return True

    async def once(self, kind: str, name: str, seconds: float, *, made: float) -> Use:
        if not await self.put(kind, name, b"", seconds, only_new=True):
            return Use.AGAIN
        return Use.FIRST if made >= self._since else Use.UNKNOWN

    async def swap(self, kind: str, name: str, before: bytes, after: bytes, seconds: float) -> bool:
        return await self.get(kind, name) == before and await self.put(kind, name, after, seconds)

    async def take(self, kind: str, name: str) -> bytes | None:
        value = await self.get(kind, name)
        self._records.pop((kind, name), None)
        return value

    async def drop(self, kind: str, name: str) -> bool:
        return await self.take(kind, name) is not None

    async def index(self, kind: str, owner: str, name: str, seconds: float) -> None:
        owned = self._owned.setdefault((kind, owner), {})
        owned[name] = max(owned.get(name, 0.0), self._end(seconds))

    async def unindex(self, kind: str, owner: str, name: str) -> None:
        self._owned.get((kind, owner), {}).pop(name, None)

    async def listed(self, kind: str, owner: str) -> list[str]:
        owned, now = self._owned.get((kind, owner), {}), self._clock()
        return sorted((name for name, end in owned.items() if end > now), key=lambda name: owned[name])

    async def scan(self, kind: str) -> AsyncIterator[str]:
        now = self._clock()
        for (of, name), kept in list(self._records.items()):
            if of == kind and kept.end > now:
                yield name

    def _end(self, seconds: float) -> float:
        return self._clock() + life(seconds) / 1000

    def _sweep(self) -> None:
        now = self._clock()
        self._records = {name: kept for name, kept in self._records.items() if kept.end > now}
        for owned in self._owned.values():
            for name in [name for name, end in owned.items() if end <= now]:
                del owned[name]
        self._owned = {owner: owned for owner, owned in self._owned.items() if owned}
        self._sweep_at = max(SWEEP, 2 * len(self._records))
