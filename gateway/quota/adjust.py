"""What a store has counted of single scopes: read, and changed by an operator; see adjust.lua."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple, TypeVar

from redis.exceptions import RedisError, ResponseError

from gateway.model import Limit
from gateway.quota.census import Units
from gateway.quota.meters import MICRO, dropped
from gateway.quota.periods import Window, window, zone_of
from gateway.store import StoreAway, StoreError, keys
from gateway.store.connection import PATIENCE
from gateway.store.fence import Fence
from gateway.store.script import Command, Script
from gateway.store.topology import Link, Node, Topology

T = TypeVar("T")

REPLICATION = 5_000  # milliseconds for replicas to have it
ATTEMPTS = 3  # a window may end, or the store may move, while it is asked

ADJUST = Script("gateway.quota", "adjust.lua")


class RangeError(Exception):
    """More is to be taken back than was added, or more added than can be counted."""


class UnsureError(StoreError):
    """It may have been done, or may be forgotten: to be looked at before it is repeated."""


class Had(NamedTuple):
    """The units of a counter; see consume.lua."""

    spent: int
    held: int
    topped: int


class Row(NamedTuple):
    """A limit, the window that is open, and its counter's key."""

    limit: Limit
    window: Window
    key: str


class Account(NamedTuple):
    """A scope's counter for a limit, in the window that is open."""

    limit: Limit
    window: Window
    units: Had


class Adjusted(NamedTuple):
    """A counter, before and after."""

    limit: Limit
    window: Window
    before: Had
    after: Had


class Accounts:
    """Of one store. `fence`, `durable` and `replicas` as for StoreLedger; all methods raise StoreError."""

    def __init__(self, topology: Topology, *, prefix: str, fence: float, durable: bool, replicas: int) -> None:
        self._topology = topology
        self._prefix = prefix
        self._options = {"seconds": fence, "durable": durable}
        self._process = f"operator-{secrets.token_hex(4)}"
        self._replicas = replicas

    async def read(self, scope: str, limits: Sequence[Limit]) -> list[Account]:
        """What a scope has used of limits."""

        async def ask(node: Node, link: Link) -> list[Account]:
            await link.open(PATIENCE)
            rows = await self._rows(link, scope, limits)
            packed = await link.exchange([("GET", row.key) for row in rows], PATIENCE) if rows else []
            return [Account(row.limit, row.window, had(row, text)) for row, text in zip(rows, packed, strict=True)]

        return await self._at(scope, ask)

    async def top_up(self, scope: str, limits: Sequence[Limit], units: int) -> list[Adjusted]:
        """Add units to limits until their windows end; below 0, take back. Raises RangeError too."""
        return await self._adjust(scope, limits, units, reset=False)

    async def reset(self, scope: str, limits: Sequence[Limit]) -> list[Adjusted]:
        """Forget what is spent of limits."""
        return await self._adjust(scope, limits, 0, reset=True)

    async def _adjust(self, scope: str, limits: Sequence[Limit], units: int, *, reset: bool) -> list[Adjusted]:
        async def change(node: Node, link: Link) -> list[Adjusted]:
            fence = Fence(self._prefix, node, self._process, **self._options)  # type: ignore[arg-type]
            run = await link.open(PATIENCE)
            fence.learn(await fence.look(link, run, 0.0, PATIENCE), run)
            rows = await self._rows(link, scope, limits)
            texts = await self._run(node, link, self._call(rows, fence, units, reset))
            return [_adjusted(row, text) for row, text in zip(rows, texts, strict=True)]

        return await self._at(scope, change)

    async def _at(self, scope: str, work: Callable[[Node, Link], Awaitable[T]]) -> T:
        """Done at the node that has a scope; again where it surely was not done, and may be."""
        for left in reversed(range(ATTEMPTS)):
            if not await self._topology.refresh():
                raise StoreAway("the store does not answer")
            node = self._topology.node(keys.tag(scope))
            link = node.link()
            try:
                return await work(node, link)
            except ResponseError as error:
                raise_final(error, last=not left)
            except (RedisError, OSError) as error:
                raise StoreAway(f"the store cannot be asked: {error or type(error).__name__}") from error
            finally:
                await link.close()
        raise AssertionError("the last attempt returns or raises")

    async def _run(self, node: Node, link: Link, call: Command) -> list[bytes]:
        after: tuple[Command, ...] = (("WAIT", self._replicas, REPLICATION),) if self._replicas else ()
        try:
            answer, *waited = await ADJUST.run(link, [call], PATIENCE + REPLICATION / 1000, *after)
        except (RedisError, OSError) as error:
            raise UnsureError(f"it may have been done; look before you repeat it: {error}") from error
        if isinstance(answer, ResponseError):
            raise answer
        if waited and (isinstance(waited[0], Exception) or waited[0] < self._replicas):
            raise UnsureError(f"it is done, but fewer than {self._replicas} replicas of {node.name} have it")
        return answer  # type: ignore[no-any-return]

    def _call(self, rows: Sequence[Row], fence: Fence, units: int, reset: bool) -> Command:
        words: list[str | int] = []
        for row in rows:
            end = "" if row.window.end is None else int(row.window.end * MICRO)
            words += (int(row.window.start * MICRO), end, dropped(row.window))
        return (len(rows), *(row.key for row in rows), fence.key, fence.here, units, int(reset), *words)

    async def _rows(self, link: Link, scope: str, limits: Sequence[Limit]) -> list[Row]:
        """The windows that are open by the store's clock."""
        (answer,) = await link.exchange([("TIME",)], PATIENCE)
        if isinstance(answer, ResponseError):
            raise answer
        return rows_at(self._prefix, scope, limits, int(answer[0]) + int(answer[1]) / MICRO)


def rows_at(prefix: str, scope: str, limits: Sequence[Limit], now: float) -> list[Row]:
    """The windows that are open at `now`, in Unix seconds."""
    rows = []
    for limit in limits:
        zone = zone_of(limit.period, limit.zone)
        here = window(limit.period, zone, now)
        rows.append(Row(limit, here, keys.counter(keys.counters(prefix, scope, limit, zone), here.start)))
    return rows


def raise_final(error: ResponseError, *, last: bool) -> None:
    """Raises what another attempt would not cure."""
    word, _, text = str(error).partition(" ")
    match word:
        case "FENCED":
            raise StoreAway("the store may have lost data, and waits for what gateways remember; try again") from error
        case "RANGE":
            raise RangeError(text) from error
        case "CORRUPT":
            raise StoreError(f"{text}; delete it, if nothing else uses it") from error
    if last or word == "NOPERM":
        raise StoreError(f"the store refuses: {error}") from error


def had(row: Row, packed: bytes | ResponseError | None) -> Had:
    """The units of a counter as the store has it; raises StoreError for what is none."""
    if isinstance(packed, ResponseError):
        raise packed
    if packed is None:
        return Had(0, 0, 0)
    units = Units.parse(packed)
    if units is None:
        raise StoreError(f"{row.key} is not a counter; delete it, if nothing else uses it")
    return Had(*units[:3])


def _adjusted(row: Row, text: bytes) -> Adjusted:
    units = [int(word) for word in text.split()]
    return Adjusted(row.limit, row.window, Had(*units[:3]), Had(*units[3:]))
