"""Which streams of alerts a cluster has had: a script writes to one on the server where it runs, and slots move."""

from __future__ import annotations

from typing import Any

from redis.exceptions import RedisError, ResponseError

from gateway.store import StoreAway, keys
from gateway.store.connection import PATIENCE
from gateway.store.node import Topology
from gateway.store.pipe import Command


async def register_outbox(topology: Topology, prefix: str, *tags: str) -> None:
    """Have the streams with these tags read, as long as the cluster lives: before anything is written to them.

    Nothing to do for the tag "", which a store without tags has alone. Raises RedisError, StoreAway or OSError if it
    may not be done; do it again then, and in a new epoch of a server, which may have forgotten it.
    """
    named = tuple(tag for tag in tags if tag)
    if named:
        await _at_key(topology, ("SADD", keys.outboxes(prefix), *named))


async def registered_outboxes(topology: Topology, prefix: str) -> set[str]:
    """The tags of all streams that were registered. Raises like `register_outbox`."""
    answer = await _at_key(topology, ("SMEMBERS", keys.outboxes(prefix)))
    return {tag.decode() for tag in answer}


async def _at_key(topology: Topology, command: Command) -> Any:
    """The answer to a command about one key, where the key is now."""
    try:
        return await _ask(topology, command)
    except (RedisError, StoreAway, OSError):  # among them MOVED; TimeoutError is an OSError
        await topology.refresh()
        return await _ask(topology, command)


async def _ask(topology: Topology, command: Command) -> Any:
    link = topology.node(str(command[1])).link()
    try:
        await link.open(PATIENCE)
        (answer,) = await link.exchange([command], PATIENCE)
        if isinstance(answer, ResponseError):
            raise answer
        return answer
    finally:
        await link.close()
