"""A Redis Cluster of a few primaries, with or without replicas."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from rigs.stores import TcpServer, binary_of, free_port, until_true

from gateway.model import Store
from gateway.store.slots import SLOTS, slot

NODE_TIMEOUT = 1000  # milliseconds until a primary counts as failed


class ClusterRig:
    """`servers`: the primaries, each with an equal part of the slots, then their replicas. Close it."""

    def __init__(
        self,
        folder: Path,
        *,
        kind: str = "redis",
        primaries: int = 3,
        replicas: int = 0,
        options: tuple[str, ...] = (),
        tls: tuple[str, ...] = (),
    ) -> None:
        self._folder, self._binary, self._options, self._tls = folder, binary_of(kind), options, tls
        self._primaries = primaries
        self._promoted: dict[TcpServer, float] = {}  # and when
        self.servers = [self._server(number) for number in range(primaries * (1 + replicas))]

    def start(self) -> ClusterRig:
        for number, server in enumerate(self.servers):
            server.start()
            server.ask("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        bounds = [SLOTS * part // self._primaries for part in range(self._primaries + 1)]
        for server, first, end in zip(self.servers, bounds, bounds[1:], strict=False):
            server.ask("CLUSTER", "ADDSLOTSRANGE", first, end - 1)
        self._introduce(self.servers)
        for number, replica in enumerate(self.servers[self._primaries :]):
            replica.ask("CLUSTER", "REPLICATE", self.id_of(self.servers[number % self._primaries]))
        self.await_serving()
        return self

    def store(self, **changes: Any) -> Store:
        """How a gateway is told of it."""
        nodes = tuple(server.address for server in self.servers[: self._primaries])
        return Store(**{"kind": "cluster", "nodes": nodes, "timeout": 1.0, **changes})

    def owner(self, tag: str) -> TcpServer:
        """The primary that says that it has the slot of a hash tag."""
        return self._owner(slot(tag))

    def id_of(self, server: TcpServer) -> str:
        return str(server.ask("CLUSTER", "MYID"))

    def add_primary(self) -> TcpServer:
        """One more, with no slots."""
        server = self._server(len(self.servers))
        server.start()
        self.servers.append(server)
        self._introduce(self.servers)
        return server

    def replica_of(self, primary: TcpServer) -> TcpServer:
        return next(
            server
            for server in self.servers
            if server.alive and server.ask("ROLE")[:3] == ["slave", primary.address.host, primary.address.port]
        )

    def fail_over(self, primary: TcpServer) -> TcpServer:
        """A planned one; gives the new primary. The former one stays as its replica."""
        replica = self.replica_of(primary)
        self._await_votes(primary)
        until_true(lambda: replica.ask("CLUSTER", "FAILOVER"), "a failover to begin")
        self.await_promoted(replica)
        return replica

    def kill_primary(self, primary: TcpServer) -> TcpServer:
        """Crash it; gives the replica that was promoted."""
        replica = self.replica_of(primary)
        self._await_votes(primary)
        primary.kill()
        self.await_promoted(replica)
        return replica

    def await_promoted(self, replica: TcpServer) -> None:
        until_true(replica.is_primary, "a failover")
        self._promoted[replica] = time.monotonic()
        self.await_serving()

    def move_slot(self, number: int, to: TcpServer) -> None:
        """With all its keys, one after another, as `redis-cli --cluster reshard` does."""
        self.begin_move(number, to)
        self.finish_move(number, to)

    def begin_move(self, number: int, to: TcpServer) -> None:
        """From now on the owner answers ASK for keys that it does not have."""
        source = self._owner(number)
        to.ask("CLUSTER", "SETSLOT", number, "IMPORTING", self.id_of(source))
        source.ask("CLUSTER", "SETSLOT", number, "MIGRATING", self.id_of(to))

    def finish_move(self, number: int, to: TcpServer) -> None:
        source = self._owner(number)
        while keys := source.ask("CLUSTER", "GETKEYSINSLOT", number, 100):
            source.ask("MIGRATE", to.address.host, to.address.port, "", 0, 5000, "KEYS", *keys)
        for server in (to, source, *self.servers):
            if server.alive and server.is_primary():
                server.ask("CLUSTER", "SETSLOT", number, "NODE", self.id_of(to))

    def await_serving(self) -> None:
        """Until each server alive says that the cluster serves, and they agree on who has what."""
        until_true(self._agreed, "the cluster to serve")

    def close(self) -> None:
        for server in self.servers:
            server.close()

    def _server(self, number: int) -> TcpServer:
        timing = ("--cluster-node-timeout", str(NODE_TIMEOUT), "--cluster-replica-validity-factor", "0")
        return TcpServer(
            self._binary,
            self._folder / str(number),
            *("--cluster-enabled", "yes", "--cluster-port", str(free_port().port)),
            *("--appendonly", "yes", "--appendfsync", "always", "--repl-diskless-sync-delay", "0"),
            *timing,
            *self._options,
            tls=(*self._tls, "--tls-cluster", "yes") if self._tls else (),
        )

    def _introduce(self, servers: list[TcpServer]) -> None:
        first = servers[0]
        for other in servers[1:]:
            host, port, bus = first.address.host, first.address.port, self._bus(first)
            other.ask("CLUSTER", "MEET", host, port, bus)
        until_true(
            lambda: all(len(str(server.ask("CLUSTER", "NODES")).splitlines()) >= len(servers) for server in servers),
            "the servers to meet",
        )

    def _bus(self, server: TcpServer) -> int:
        return int(server.ask("CONFIG", "GET", "cluster-port")["cluster-port"])

    def _await_votes(self, primary: TcpServer) -> None:
        """Nobody votes twice about the same shard in so short a time."""
        voted = self._promoted.get(primary, 0.0)
        time.sleep(max(0.0, voted + 2.1 * NODE_TIMEOUT / 1000 - time.monotonic()))

    def _owner(self, number: int) -> TcpServer:
        return next(server for server in self._alive() if server.is_primary() and number in self._own(server))

    def _own(self, server: TcpServer) -> set[int]:
        """The slots that a server says are its own."""
        ranges = (range(first, last + 1) for first, last, port in self._slots(server) if port == server.address.port)
        return {number for some in ranges for number in some}

    def _alive(self) -> list[TcpServer]:
        return [server for server in self.servers if server.alive]

    def _slots(self, server: TcpServer) -> list[tuple[int, int, int]]:
        """First, last, and their primary's port."""
        return sorted((first, last, primary[1]) for first, last, primary, *_ in server.ask("CLUSTER", "SLOTS"))

    def _agreed(self) -> bool:
        alive = self._alive()
        first, *others = map(self._slots, alive)
        serving = all("cluster_state:ok" in server.ask("CLUSTER", "INFO") for server in alive)
        replicated = all(server.is_primary() or server.ask("ROLE")[3] == "connected" for server in alive)
        return serving and replicated and all(other == first for other in others)
