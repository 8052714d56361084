"""The outbox of a cluster: a stream on each server, and on each that had one before slots moved."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Iterable

from redis.asyncio import Redis
from redis.exceptions import RedisError

from gateway.alerts.outbox import Again, Entry
from gateway.alerts.store_outbox import StoreOutbox
from gateway.model import Alert
from gateway.store import StoreAway, StoreError
from gateway.store.node import Topology
from gateway.store.outboxes import register_outbox, registered_outboxes

log = logging.getLogger(__name__)

EVERY = 15.0  # seconds between looks for streams
PATIENCE = 5.0  # seconds for an answer of the store, which blocks while no alert is there


class Outboxes:
    """See Outbox, and StoreOutbox. An entry's id is its stream's tag and the id there."""

    def __init__(self, topology: Topology, prefix: str, consumer: str) -> None:
        self._topology = topology
        self._prefix = prefix
        self._consumer = consumer
        self._clients: dict[str, Redis] = {}
        self._streams: dict[str, StoreOutbox] = {}
        self._reading: dict[asyncio.Task[list[Entry]], str] = {}
        self._next_look = 0.0

    async def read(self, count: int, block_seconds: float) -> list[Entry]:
        """From whichever streams have some."""
        await self._look()
        for tag in self._streams.keys() - set(self._reading.values()):
            self._reading[asyncio.create_task(self._streams[tag].read(count, block_seconds))] = tag
        if not self._reading:
            await asyncio.sleep(block_seconds)
            return []
        done, _ = await asyncio.wait(self._reading, timeout=block_seconds, return_when=asyncio.FIRST_COMPLETED)
        found = ((self._reading.pop(task), task.result()) for task in done)
        return [entry._replace(id=f"{tag}/{entry.id}") for tag, entries in found for entry in entries]

    async def keep(self, entry_ids: Iterable[str]) -> None:
        """See Outbox."""
        by_tag: dict[str, list[str]] = defaultdict(list)
        for entry_id in entry_ids:
            tag, _, here = entry_id.partition("/")
            by_tag[tag].append(here)
        await asyncio.gather(*(self._streams[tag].keep(ids) for tag, ids in by_tag.items()))

    async def done(self, entry_id: str) -> None:
        """See Outbox."""
        tag, _, here = entry_id.partition("/")
        await self._streams[tag].done(here)

    async def send_again(self, alert: Alert, again: Again | None = None) -> None:
        """See Outbox. Into any stream: all are read."""
        await self._look()
        failure: Exception = StoreAway("no server of the store is known")
        for stream in self._streams.values():
            try:
                return await stream.send_again(alert, again)
            except (RedisError, StoreError, OSError) as error:
                failure = error
        raise failure

    async def close(self) -> None:
        """Stop reading; what was read and not given out stays in its stream."""
        for task in self._reading:
            task.cancel()
        await asyncio.gather(*self._reading, return_exceptions=True)
        self._reading.clear()
        for client in self._clients.values():
            await client.aclose()

    async def _look(self) -> None:
        """Find streams, if it is time: those of the servers now, and those that anybody has registered."""
        now = asyncio.get_running_loop().time()
        if now < self._next_look:
            return
        self._next_look = now + EVERY
        await self._topology.refresh()
        self._open({node.tag for node in self._topology.nodes})
        try:  # again, as the server that has the list may have forgotten
            await register_outbox(self._topology, self._prefix, *self._streams)
            self._open(await registered_outboxes(self._topology, self._prefix))
        except (RedisError, StoreError, OSError) as error:
            log.debug("the list of outboxes cannot be read: %s", error)

    def _open(self, tags: set[str]) -> None:
        for tag in tags - self._streams.keys():
            client = self._clients[tag] = self._topology.client(tag, patience=PATIENCE)
            self._streams[tag] = StoreOutbox(client, self._prefix, self._consumer, tag=tag, refresh=self._refresh)

    async def _refresh(self) -> None:
        """A stream is not where it was: others may have come."""
        await self._topology.refresh()
        self._next_look = 0.0
