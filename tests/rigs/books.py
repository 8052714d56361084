"""The ledger's scripts as one process calls them, over counters of one scope."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from typing import Any, NamedTuple

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from gateway.model import Store
from gateway.quota.calls import CONSUME, Answer, command
from gateway.quota.memo import PUBLISH
from gateway.store.fence import Fence
from gateway.store.topology import topology

NOW = 4_102_747_200_000_000  # Monday, 4 January 2100, 12:00 UTC in microseconds: ahead of any server's clock
MINUTE = 60_000_000
ABOUT = '{"application": "s", "id": "x-'

prefixes = (f"books{number}" for number in count())


class Row(NamedTuple):
    """A counter's part of a call; see consume.lua."""

    counter: str
    value: int
    used: int = 0
    apart: int = 0
    beside: int = 0
    back: int = 0
    want: int = 0
    bins: str = ""
    start: int = NOW
    end: int | str = NOW + MINUTE

    @property
    def arguments(self) -> tuple[str | int, ...]:
        drop = self.end // 1_000_000 + 3600 if isinstance(self.end, int) else ""
        units = (self.used, self.apart, self.beside, self.back, self.want)
        return (self.value, self.start, self.end, drop, *units, self.bins, ABOUT)


class Note(NamedTuple):
    """What is published of a counter; see publish.lua."""

    counter: str
    epoch: int
    version: int
    spent: int
    held: int = 0
    topped: int = 0
    raised: str = ""
    drop: int | str = NOW // 1_000_000 + 3600
    again: str = ""
    about: str = ABOUT


class Books:
    """A process of its own on the way to a server; `epoch` and `run` are what it knows of the store."""

    def __init__(self, redis: Redis, url: str, prefix: str, process: str = "p") -> None:
        self.redis = redis
        self.prefix = prefix
        node = topology(Store(kind="url", url=url)).nodes[0]
        self.link = node.link()
        self.fence = Fence(prefix, node, process, seconds=0, durable=False)
        self.fence.epoch, self.fence.run = 7, "r"
        self._url = url
        self._process = process

    async def open_epoch(self, epoch: int, *, opens: int = 0, intact: str = "") -> None:
        """As fence.lua does, whatever was before; this process knows it."""
        await self.redis.set(self.fence.key, f"{epoch} {self.fence.run} {opens} {intact}")
        self.fence.epoch = epoch

    def another(self, process: str) -> Books:
        """Another process, which knows what this one does."""
        other = Books(self.redis, self._url, self.prefix, process)
        other.fence.epoch, other.fence.processes = self.fence.epoch, self.fence.processes
        return other

    async def call(self, number: int, rows: list[Row], *shapes: tuple[int, ...], seen: int = NOW, last: int = 0) -> Any:
        """consume.lua. A shape is: how many requests, how many lines, then a row (from 1) and a cost for each."""
        packed: list[str | int] = [len(rows)]
        for row in rows:
            packed += row.arguments
        packed += (len(shapes), *(word for shape in shapes for word in shape))
        counters = [self.key(row.counter) for row in rows]
        outbox, seconds = f"{self.prefix}:outbox", seen / 1_000_000
        made = command(self.key(f"~{self._process}"), counters, number, seconds, self.fence, outbox, packed, last)
        await self.link.open(5)
        (answer,) = await CONSUME.run(self.link, [made], 5)
        if isinstance(answer, ResponseError):
            raise answer
        return Answer.parse(answer)

    async def publish(self, *notes: Note) -> int:
        """publish.lua: how many were news."""
        words = [word for note in notes for word in note[1:]]
        keys = [self.key(note.counter) for note in notes]
        await self.link.open(5)
        (answer,) = await PUBLISH.run(
            self.link, [(len(keys), *keys, self.fence.key, self.fence.here, f"{self.prefix}:outbox", *words)], 5
        )
        if isinstance(answer, ResponseError):
            raise answer
        return int(answer)

    def key(self, counter: str) -> str:
        return f"{self.prefix}:{{s}}:{counter}"

    async def counter(self, counter: str) -> str | None:
        """What the store has of it, as it is written."""
        packed = await self.redis.get(self.key(counter))
        return None if packed is None else packed.decode()

    async def units(self, counter: str) -> tuple[int, int]:
        """Spent and held."""
        spent, held, *_ = (await self.counter(counter) or "0 0").split()
        return int(spent), int(held)

    async def alerts(self) -> list[bytes]:
        return [fields[b"alert"] for _, fields in await self.redis.xrange(f"{self.prefix}:outbox")]


@asynccontextmanager
async def books_at(url: str) -> AsyncIterator[Books]:
    """The first process of a fresh prefix, in epoch 7."""
    async with Redis.from_url(url) as redis:
        books = Books(redis, url, next(prefixes))
        await books.open_epoch(7)
        yield books
        await books.link.close()
