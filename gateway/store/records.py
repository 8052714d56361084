"""Values with a life, shared by all gateways: sessions, sign-ons under way, marks of what was used once, locks.

They are as durable as the store: written to as many replicas as `store.wait` says, and kept over a restart where the
store's persistence keeps them. What must not be used twice after the store has forgotten is asked by `once`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from enum import StrEnum
from typing import Any, Protocol

from redis.exceptions import ResponseError

from gateway.model import Store
from gateway.store import keys
from gateway.store.fence import Fence
from gateway.store.lines import Line, Lines
from gateway.store.node import Node
from gateway.store.script import Command, Script

LONGEST = 30 * 366 * 86_400  # seconds that a record may live
LARGEST = 1_048_576  # bytes of a value
BATCH = 1_000  # keys looked at by one step of a walk

ONCE = Script("gateway.store", "once.lua")
SWAP = Script("gateway.store", "swap.lua")
INDEX = Script("gateway.store", "index.lua")


class Use(StrEnum):
    """Whether something that may be used once was used before."""

    FIRST = "first"
    AGAIN = "again"
    UNKNOWN = "unknown"  # the store may have forgotten: refuse it


class Records(Protocol):
    """Records by kind (a word of the code) and name (any text but ""; a secret only as its digest, as names are seen in
    the store). `seconds` is a record's life from now on, by the store's clock.

    All raise StoreAway where the store does not answer in time; what was asked may then have been done or not. They
    raise StoreError where waiting does not help, and ValueError for a value or life out of range.
    """

    async def get(self, kind: str, name: str) -> bytes | None:
        """Its value."""

    async def put(self, kind: str, name: str, value: bytes, seconds: float, *, only_new: bool = False) -> bool:
        """Written; with `only_new` False where there is one already, which stays as it is."""

    async def once(self, kind: str, name: str, seconds: float, *, made: float) -> Use:
        """Whether what `name` stands for is used for the first time. It is remembered for `seconds`: as long as the
        thing could be used.

        `made`: when it was made at the earliest, in Unix seconds: by its maker's clock, less what that may be ahead.
        What is older than the store's memory is `unknown`. While the store waits for what gateways remember: StoreAway.
        """

    async def swap(self, kind: str, name: str, before: bytes, after: bytes, seconds: float) -> bool:
        """Replaced, if its value was `before`."""

    async def take(self, kind: str, name: str) -> bytes | None:
        """Its value, which nobody gets again."""

    async def drop(self, kind: str, name: str) -> bool:
        """Gone; whether it was there."""

    async def index(self, kind: str, owner: str, name: str, seconds: float) -> None:
        """Note that a record of this kind belongs to somebody, so that it is `listed`: for `seconds` at least."""

    async def unindex(self, kind: str, owner: str, name: str) -> None:
        """Note that it does not any more."""

    async def listed(self, kind: str, owner: str) -> list[str]:
        """The names that were noted, soonest to end first; their records may have gone."""

    def scan(self, kind: str) -> AsyncIterator[str]:
        """The names of all records of a kind, but for those of more than 200 bytes, which are named by a digest. A name
        may come twice while slots of a cluster move; records that come or go meanwhile may be missed.
        """


class StoreRecords:
    """In Redis or Valkey, over connections that others use too. See Records."""

    def __init__(self, lines: Lines, store: Store) -> None:
        self._lines = lines
        self._prefix = store.prefix
        self._seconds = store.fence
        self._durable = store.kind == "embedded"
        self._fences: dict[Node, Fence] = {}

    async def get(self, kind: str, name: str) -> bytes | None:
        key = keys.record(self._prefix, kind, name)
        (value,) = await self._lines.at(keys.tag(name), lambda line: line.ask(("GET", key)))
        return value  # type: ignore[no-any-return]

    async def put(self, kind: str, name: str, value: bytes, seconds: float, *, only_new: bool = False) -> bool:
        new = ("NX",) if only_new else ()
        command = ("SET", keys.record(self._prefix, kind, name), fit(value), "PX", life(seconds), *new)
        return await self._write(name, command, again=not only_new) is not None

    async def once(self, kind: str, name: str, seconds: float, *, made: float) -> Use:
        key, milliseconds = keys.record(self._prefix, kind, name), life(seconds)

        async def work(line: Line) -> Use:
            fence = await self._fence(line)
            try:
                answer = await line.write_by(ONCE, (1, key, fence.key, fence.here, milliseconds, int(made * 1000)))
            except ResponseError:
                fence.run = ""  # look again before the next attempt
                raise
            return Use(answer.decode())

        return await self._lines.at(keys.tag(name), work, again=False)

    async def swap(self, kind: str, name: str, before: bytes, after: bytes, seconds: float) -> bool:
        call = (1, keys.record(self._prefix, kind, name), before, fit(after), life(seconds))
        return bool(await self._lines.at(keys.tag(name), lambda line: line.write_by(SWAP, call), again=False))

    async def take(self, kind: str, name: str) -> bytes | None:
        value: bytes | None = await self._write(name, ("GETDEL", keys.record(self._prefix, kind, name)), again=False)
        return value

    async def drop(self, kind: str, name: str) -> bool:
        return bool(await self._write(name, ("DEL", keys.record(self._prefix, kind, name))))

    async def index(self, kind: str, owner: str, name: str, seconds: float) -> None:
        call = (1, keys.owned(self._prefix, kind, owner), name.encode(), life(seconds))
        await self._lines.at(keys.tag(owner), lambda line: line.write_by(INDEX, call))

    async def unindex(self, kind: str, owner: str, name: str) -> None:
        await self._write(owner, ("ZREM", keys.owned(self._prefix, kind, owner), name.encode()))

    async def listed(self, kind: str, owner: str) -> list[str]:
        call = (1, keys.owned(self._prefix, kind, owner))
        names = await self._lines.at(keys.tag(owner), lambda line: line.call(INDEX, call))
        return [name.decode() for name in names]

    async def scan(self, kind: str) -> AsyncIterator[str]:
        pattern = keys.record_names(self._prefix, kind)
        for node in await self._lines.nodes():
            cursor: bytes | int = 0
            while True:
                command = ("SCAN", cursor, "MATCH", pattern, "COUNT", BATCH)
                cursor, found = await self._scanned(node, command)
                for key in found:
                    if (name := keys.name_in(key.decode())) is not None:
                        yield name
                if int(cursor) == 0:
                    break

    async def _scanned(self, node: Node, command: Command) -> tuple[bytes, list[bytes]]:
        ((cursor, found),) = await self._lines.at(node.tag, lambda line: line.ask(command))
        return cursor, found

    async def _write(self, name: str, command: Command, *, again: bool = True) -> Any:
        (answer,) = await self._lines.at(keys.tag(name), lambda line: line.write(command), again=again)
        return answer

    async def _fence(self, line: Line) -> Fence:
        """What is known of the epoch of the server at the other end."""
        fence = self._fences.get(line.node)
        if fence is None:
            fence = self._fences[line.node] = self._new_fence(line.node)
        if fence.run != line.run:
            look = await fence.look(line.link, line.run, 0.0, line.patience)
            fence.learn(look, line.run)
        return fence

    def _new_fence(self, node: Node) -> Fence:
        return Fence(self._prefix, node, "", seconds=self._seconds, durable=self._durable)


def life(seconds: float) -> int:
    """In milliseconds. Raises ValueError for one that is none."""
    if not 0.001 <= seconds <= LONGEST:
        raise ValueError(f"a record lives from 0.001 to {LONGEST} seconds, not {seconds:g}")
    return int(seconds * 1000)


def fit(value: bytes) -> bytes:
    """The same. Raises ValueError for one that is too large."""
    if len(value) > LARGEST:
        raise ValueError(f"a record has at most {LARGEST} bytes, not {len(value)}")
    return value
