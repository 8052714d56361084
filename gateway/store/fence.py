"""Epochs: stretches of time in which a server of the store lost nothing.

A server that was restarted, or a replica that took over, may have forgotten the latest writes. It begins a new epoch,
and is fenced for a while, in which processes tell what they remember; see fence.lua.
"""

from __future__ import annotations

from typing import NamedTuple

from gateway.store import keys
from gateway.store.node import Node
from gateway.store.protocol import PROTOCOL
from gateway.store.script import Exchange, Script

GONE = 10  # seconds after which a process that does not look counts as gone
MICRO = 1_000_000

LOOK = Script("gateway.store", "fence.lua")


class Look(NamedTuple):
    """What a server said of itself. Times are its own, in Unix seconds."""

    now: float
    epoch: int
    opens: float
    intact: frozenset[int]  # earlier epochs of which nothing is lost
    processes: int


class Fence:
    """What a process knows of the epoch of a node."""

    def __init__(self, prefix: str, node: Node, process: str, *, seconds: float, durable: bool) -> None:
        """`process`: "" for who does not count there. `seconds` that a new epoch is fenced; `durable`: a restart of the
        server loses nothing acknowledged.
        """
        self.epoch = 0
        self.run = ""
        self.processes = 1
        self.opens = 0.0
        self.intact: frozenset[int] = frozenset()
        self._prefix = prefix
        self._node = node
        self._tag: str | None = None  # where the record was when it was last seen
        self._process = process
        self._seconds = seconds
        self._durable = durable

    @property
    def here(self) -> str:
        """The epoch and run, as scripts compare them."""
        return f"{self.epoch} {self.run}"

    @property
    def key(self) -> str:
        """Of the record. In a cluster it goes with the slots of its server."""
        return keys.epoch(self._prefix, self._node.tag)

    async def look(self, link: Exchange, run: str, seen: float, patience: float) -> Look:
        """Ask the server with the run id `run`. Raises what the exchange raises, and ResponseError."""
        tag = self._node.tag
        witness = self._tag not in (None, tag) and run == self.run  # the slot of the record has moved, not the server
        flags = (int(self._seconds * MICRO), int(self._durable), GONE, int(witness))
        names = (keys.epoch(self._prefix, tag), keys.processes(self._prefix, tag), keys.protocol(self._prefix, tag))
        call = (len(names), *names, self._process, run, self.epoch, int(seen * MICRO), *flags, PROTOCOL)
        (answer,) = await LOOK.run(link, [call], patience)
        if isinstance(answer, Exception):
            raise answer
        self._tag = tag
        now, epoch, opens, intact, processes = answer.decode().split(";")
        epochs = frozenset(int(number) for number in intact.split(",") if number)
        return Look(int(now) / MICRO, int(epoch), int(opens) / MICRO, epochs, int(processes))

    def learn(self, look: Look, run: str) -> bool:
        """Take it over. Whether the store may have forgotten what this process remembers."""
        lost = self.epoch not in (0, look.epoch) and self.epoch not in look.intact
        self.epoch, self.run, self.opens = look.epoch, run, look.opens
        self.intact, self.processes = look.intact, look.processes
        return lost
