"""The store of a gateway, for a command that runs beside it or while it does not run."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from redis.exceptions import RedisError

from gateway.model import Store
from gateway.store import StoreError
from gateway.store.connection import PATIENCE
from gateway.store.embedded import EmbeddedStore, running_at
from gateway.store.protocol import require_protocol
from gateway.store.refusals import explain
from gateway.store.topology import Node, Topology, topology


@asynccontextmanager
async def visiting(store: Store, data: Path, *, create: bool = False) -> AsyncIterator[Topology]:
    """The store, each server of which has answered. Raises StoreError, also for what breaks in the block.

    The embedded one is that of the gateway that runs with `data`, where its URL is not known yet; where none does, it
    is started for the time. Its data must be there already, unless `create`.
    """
    if store.kind == "memory":
        raise StoreError(
            "with `store: memory` usage is in the running gateway alone, where no command reaches it; "
            "use `store: embedded` or a server"
        )
    embedded = EmbeddedStore(data)
    try:
        if store.kind == "embedded" and store.url is None:
            store = replace(store, url=running_at(data) or _started(embedded, data, create))
        async with _answering(store) as servers:
            yield servers
    except BrokenPipeError:  # of the block's own output, as is trouble with its files
        raise
    except (RedisError, TimeoutError, ConnectionError) as error:
        raise explain(error, store) from error
    finally:
        embedded.stop()


def _started(embedded: EmbeddedStore, data: Path, create: bool) -> str:
    if not create and not (data / "store").is_dir():
        raise StoreError(f"there is no embedded store in {data}: no gateway has run with this folder")
    return embedded.start()


@asynccontextmanager
async def _answering(store: Store) -> AsyncIterator[Topology]:
    try:
        servers = topology(store)
    except (ValueError, OSError) as error:
        raise StoreError(f"the store cannot be used: {error}") from error
    try:
        if not await servers.refresh():
            raise explain(servers.failure, store)
        for node in servers.nodes:
            await _greet(node, store)
        yield servers
    finally:
        await servers.close()


async def _greet(node: Node, store: Store) -> None:
    link = node.link()
    try:
        await link.open(PATIENCE)
        await require_protocol(link, store, node.tag, PATIENCE)
    except (RedisError, OSError) as error:
        raise explain(error, store) from error
    finally:
        await link.close()
