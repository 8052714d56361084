"""A world on paper: servers, a network, gateways, and a record of all that was asked and answered."""

from __future__ import annotations

import json
import random as chance
import secrets
import time
from collections.abc import Coroutine
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from random import Random
from types import TracebackType
from typing import Any
from unittest.mock import patch

from gateway.model import Alert, Charge

from .gateway import Make, PaperGateway, Request
from .keyspace import Stream
from .loop import CURRENT, PaperLoop, Process
from .network import Network, PaperNode, PaperTopology
from .server import PaperServer

MONDAY = datetime.fromisoformat("2100-01-04T12:00:00Z").timestamp()
POLL = 0.1  # seconds between looks at the outboxes


@dataclass
class Seen:
    """An alert in a stream, and when it was first seen there."""

    alert: Alert
    stream: str
    at: float


@dataclass(frozen=True)
class Event:
    """Something that happened: `until` its end, or the same time."""

    kind: str
    who: str
    at: float
    until: float


@dataclass
class History:
    """What an observer knows."""

    requests: list[Request] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    alerts: list[Seen] = field(default_factory=list)
    skews: list[tuple[float, float]] = field(default_factory=list)  # when a server's clock was off by how much


class World:
    """Use it as a context; everything that happens in it is decided by `seed` and by what is done to it."""

    def __init__(
        self,
        seed: int,
        make: Make,
        *,
        nodes: int = 1,
        replicas: int = 0,
        recorded: bool = True,
        start: float = 0.0,
        poll: float = POLL,
    ) -> None:
        """`start`: seconds after Monday noon at which it begins. `recorded`: servers keep journals, for their disks and
        replicas. `poll`: seconds between looks at the outboxes."""
        self._every = poll
        self.loop = PaperLoop()
        self.random = Random(seed)
        self.history = History()
        self.network = Network(self.loop, Random(self.random.getrandbits(64)))
        self.gateways: list[PaperGateway] = []
        self._make = make
        self._origin = MONDAY + start
        self._patches = ExitStack()
        self._lives = 0
        self._floods = 0
        self._read_to: dict[str, int] = {}  # by stream
        names = [f"store{number}" for number in range(nodes * (1 + replicas))]
        self.servers = [PaperServer(name, self.loop, self.random, self.wall, recorded=recorded) for name in names]
        tags = [""] if nodes == 1 else [str(number) for number in range(nodes)]
        primaries = zip(tags, self.servers, strict=False)
        self.nodes = [PaperNode(server.name, tag, server, self.network) for tag, server in primaries]
        for place, replica in enumerate(self.servers[nodes:]):
            replica.follow(self.servers[place % nodes])
        self.topology = PaperTopology(self.nodes)
        self.skew(0.0, self.servers[0])

    def __enter__(self) -> World:
        entropy = Random(self.random.getrandbits(64))
        self._patches.enter_context(patch.object(time, "time", self._process_time))
        self._patches.enter_context(patch.object(secrets, "token_hex", lambda n=32: f"{entropy.getrandbits(8 * n):x}"))
        self._patches.enter_context(patch.object(chance, "uniform", entropy.uniform))
        self.loop.outside(self._every, self._poll)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        try:
            for gateway in self.gateways:
                gateway.kill()
                gateway.process.bury()
            self.loop.close()
        finally:
            self._patches.close()

    def run(self, story: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(story)

    def wall(self) -> float:
        """The true Unix time."""
        return self._origin + self.loop.time()

    # --- what is done to it -----------------------------------------------------------------------------

    def gateway(self, *, drift: float = 1.0) -> PaperGateway:
        """Start one more."""
        name = f"gateway{self._lives}"
        self._lives += 1
        process = Process(name, self.loop, booted=self.random.uniform(0, 1e6), drift=drift)
        gateway = PaperGateway(name, self.loop, lambda process: self._make(self.topology, process), process)
        self.gateways.append(gateway)
        return gateway

    def ask(self, gateway: PaperGateway, scope: str, charges: tuple[Charge, ...]) -> Request | None:
        """One request; None if the gateway does not serve."""
        if not gateway.serves:
            return None
        request = gateway.ask(scope, charges)
        self.history.requests.append(request)
        return request

    def note(self, kind: str, who: str = "", seconds: float = 0.0) -> None:
        now = self.loop.time()
        self.history.events.append(Event(kind, who, now, now + seconds))

    def skew(self, by: float, server: PaperServer) -> None:
        """Move a server's clock."""
        server.ahead += by
        self.history.skews.append((self.loop.time(), server.ahead))

    def lose(self, server: PaperServer, keep: int | None) -> None:
        """Restart a server that is down with what it had after its first `keep` writes (None: all)."""
        self.note("loss" if keep is not None and keep < len(server.journal) else "restart", server.name)
        server.restart(keep)

    def fail_over(self, node: PaperNode) -> None:
        """Let a replica take over from a server that is down, with what has reached it."""
        old, new = node.server, node.server.replicas[0]
        self.note("failover", new.name)
        new.promote(old)
        node.server = new
        old.up = True
        old.follow(new)

    def flush(self, server: PaperServer) -> None:
        """FLUSHALL."""
        self.note("loss", server.name)
        self._read_to.clear()
        self._floods += 1
        server.flush()

    def look(self) -> None:
        """Read the outboxes now, as delivery does."""
        for server in self.servers:
            if server.readonly or not server.up:
                continue
            for key in server.data.names():
                if key.endswith(b":outbox"):
                    self._read(f"{server.name} {server.run_id} {self._floods} {key.decode()}", server, key)

    def _read(self, stream: str, server: PaperServer, key: bytes) -> None:
        entries = server.data.typed(key, Stream)
        for _, fields in entries[self._read_to.get(stream, 0) :]:
            self.history.alerts.append(Seen(Alert(**json.loads(fields[1])), stream, self.loop.time()))
        self._read_to[stream] = len(entries)

    def _poll(self) -> None:
        self.look()
        self.loop.outside(self._every, self._poll)

    def _process_time(self) -> float:
        """What a process takes for the time of day: its machine's clock is a little off."""
        process = CURRENT.get(None)
        return self.wall() + (process.booted % 1 - 0.5 + process.ahead if process is not None else 0.0)
