"""Alerts' delivery as the supervisor composes it."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from typing import NamedTuple

import httpx2
from redis.exceptions import RedisError

from gateway.alerts.book import Book
from gateway.alerts.closings import EVERY, Closings
from gateway.alerts.delivery import Deliverer
from gateway.alerts.desk import Desk
from gateway.alerts.outbox import MemoryOutbox, Outbox
from gateway.alerts.outboxes import PATIENCE, Outboxes
from gateway.alerts.shelf import AWAY, MemoryShelf, Shelf, StoreShelf
from gateway.alerts.store_outbox import StoreOutbox
from gateway.model import Alert, Config
from gateway.process.background import background
from gateway.process.forecasts import Forecasts
from gateway.process.ways import Ways
from gateway.store.lines import Lines
from gateway.store.records import Records
from gateway.store.topology import Topology, topology

log = logging.getLogger("gateway.alerts")

BOOK_PATIENCE = 1.0  # seconds for an answer about what became of alerts, which delivery does not wait for longer


class Backlog(NamedTuple):
    """What this gateway has not delivered: how many, seconds since the oldest was raised; and all dead letters."""

    undelivered: int
    oldest: float
    dead: int


class Alerting:
    """Delivers what the workers raise, from `start` until the stack unwinds. `count` hears of each alert,
    `count_attempt` of each attempt on a channel.
    """

    desk: Desk
    _ways: Ways
    _book: Book
    _deliverer: Deliverer
    _closings: Closings

    def __init__(self, count: Callable[[str], None], count_attempt: Callable[[str, bool], None]) -> None:
        self._count = count
        self._count_attempt = count_attempt
        self._memory = MemoryOutbox()
        self._forecasts: Forecasts | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, stack: AsyncExitStack, config: Config, records: Records) -> None:
        """`config` with the store's URL; `records` of all gateways."""
        http = await stack.enter_async_context(httpx2.AsyncClient(follow_redirects=False))
        self._ways = Ways(http, log)
        self.take(config)
        outbox, shelf = self._kept(stack, config, records)
        self._book = Book(shelf, clock=time.time, sleep=asyncio.sleep, away=AWAY)

        async def turn() -> bool:
            return await records.put("turn", "closings", b"", EVERY, only_new=True)

        self._closings = Closings(
            shelf, outbox, clock=time.time, sleep=asyncio.sleep, turn=turn, away=(*AWAY, RedisError, OSError)
        )
        self._deliverer = Deliverer(
            outbox,
            self._ways.of,
            self._book,
            log,
            self._count,
            count_attempt=self._count_attempt,
            closings=self._closings,
        )
        self.desk = Desk(self._book, outbox, self._ways.named, lambda: self._deliverer.undelivered, time.time)
        background(stack, self._deliverer.run())
        background(stack, self._closings.run())

    def take(self, config: Config) -> None:
        """Channels for what is delivered from now on."""
        self._ways.take(config)
        if self._forecasts is not None:
            self._forecasts.take(config)

    def push(self, alert: Alert) -> None:
        """What a worker tells that has no store."""
        self._memory.push(alert)

    def refused(self, counts: Mapping[str, int]) -> None:
        """What a worker tells that has no store."""
        task = asyncio.create_task(self._closings.add(counts))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def backlog(self) -> Backlog:
        """For metrics."""
        raised = [record.alert.raised_at for record in self._deliverer.undelivered]
        return Backlog(len(raised), max(0.0, time.time() - min(raised)) if raised else 0.0, self._book.dead)

    def _kept(self, stack: AsyncExitStack, config: Config, records: Records) -> tuple[Outbox, Shelf]:
        """The outbox, and the shelf of the book. What has a store has forecasts too."""
        if config.store.kind == "memory":
            return self._memory, MemoryShelf()
        servers = topology(config.store)
        stack.push_async_callback(servers.close)
        lines = Lines(servers, config.store, BOOK_PATIENCE)
        stack.push_async_callback(lines.close)
        outbox = self._outbox(stack, config, servers)
        self._forecasts = Forecasts(servers, records, outbox)
        self._forecasts.take(config)
        background(stack, self._forecasts.run())
        return outbox, StoreShelf(lines, config.store.prefix)

    def _outbox(self, stack: AsyncExitStack, config: Config, servers: Topology) -> Outbox:
        prefix, consumer = config.store.prefix, f"{socket.gethostname()}:{config.listen[0].address}"
        if config.store.kind == "cluster":
            outboxes = Outboxes(servers, prefix, consumer)
            stack.push_async_callback(outboxes.close)
            return outboxes
        redis = servers.client(patience=PATIENCE)
        stack.push_async_callback(redis.aclose)
        return StoreOutbox(redis, prefix, consumer)
