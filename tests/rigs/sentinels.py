"""A primary with replicas, watched by Sentinels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rigs.stores import TcpServer, binary_of, until_true

from gateway.model import Address, Store

NAME = "main"
DOWN_AFTER = 300  # milliseconds


class Sentinel(TcpServer):
    """One Sentinel. It keeps what it knows in its own configuration file."""

    def __init__(
        self, binary: Path, folder: Path, primary: Address, quorum: int = 1, *options: str, tls: tuple[str, ...] = ()
    ) -> None:
        super().__init__(binary, folder, tls=tls)
        file = folder / "sentinel.conf"
        about = [
            f"monitor {NAME} {primary.host} {primary.port} {quorum}",
            f"down-after-milliseconds {NAME} {DOWN_AFTER}",
            f"failover-timeout {NAME} 2000",
        ]
        file.write_text("".join(f"sentinel {line}\n" for line in about))
        self._command = [binary, file, "--sentinel", *self._listening(), "--dir", folder, *tls, *options]


class SentinelRig:
    """`servers` of which one is the primary, and `sentinels`. Close it."""

    def __init__(
        self,
        folder: Path,
        *,
        kind: str = "redis",
        replicas: int = 1,
        sentinels: int = 3,
        options: tuple[str, ...] = (),
        tls: tuple[str, ...] = (),
    ) -> None:
        binary = binary_of(kind)
        durable = ("--appendonly", "yes", "--appendfsync", "always", "--repl-diskless-sync-delay", "0")
        first = TcpServer(binary, folder / "0", *durable, *options, tls=tls)
        follow = ("--replicaof", first.address.host, str(first.address.port))
        others = [
            TcpServer(binary, folder / f"{n}", *durable, *options, *follow, tls=tls) for n in range(1, replicas + 1)
        ]
        self.servers = [first, *others]
        quorum = sentinels // 2 + 1
        self.sentinels = [Sentinel(binary, folder / f"s{n}", first.address, quorum, tls=tls) for n in range(sentinels)]

    def start(self) -> SentinelRig:
        for server in self.servers:
            server.start()
        self.await_replicas(len(self.servers) - 1)
        for sentinel in self.sentinels:
            sentinel.start()
        until_true(self._know_each_other, "the Sentinels to know each other and the replicas")
        return self

    def store(self, **changes: Any) -> Store:
        """How a gateway is told of it."""
        nodes = tuple(sentinel.address for sentinel in self.sentinels)
        return Store(**{"kind": "sentinel", "nodes": nodes, "service": NAME, "timeout": 1.0, **changes})

    @property
    def primary(self) -> TcpServer:
        """The server that the Sentinels name, once it says so itself."""
        return until_true(self._primary, "a primary")

    @property
    def replicas(self) -> list[TcpServer]:
        primary = self.primary
        return [server for server in self.servers if server is not primary]

    def await_replicas(self, count: int) -> None:
        """Until so many replicas are in line with the primary."""
        primary = self.servers[0] if not any(sentinel.alive for sentinel in self.sentinels) else self.primary
        until_true(lambda: str(primary.ask("INFO", "replication")).count("'state': 'online'") >= count, "replicas")

    def fail_over(self) -> TcpServer:
        """A planned one; gives the new primary. The former one goes on as if it still were one for some 10 s."""
        before = self.primary
        until_true(lambda: self.sentinels[0].ask("SENTINEL", "FAILOVER", NAME), "a replica to promote")
        return self.await_other(before)

    def kill_primary(self) -> TcpServer:
        """Crash the primary; gives the one that was promoted."""
        before = self.primary
        before.kill()
        return self.await_other(before)

    def await_other(self, former: TcpServer) -> TcpServer:
        """The primary, once it is another than this."""
        return until_true(lambda: (now := self._primary()) is not former and now, "a failover")

    def reunite(self) -> None:
        """Have all that live follow the primary: what the Sentinels do too, but later."""
        primary = self.primary
        others = [server for server in self.servers if server is not primary and server.alive]
        for server in others:
            server.ask("REPLICAOF", primary.address.host, primary.address.port)
        self.await_replicas(len(others))

    def close(self) -> None:
        for server in (*self.sentinels, *self.servers):
            server.close()

    def primary_of(self, sentinel: Sentinel) -> TcpServer:
        """The server that one Sentinel names."""
        host, port = sentinel.ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", NAME)
        return next(server for server in self.servers if server.address == (host, int(port)))

    def _primary(self) -> TcpServer | None:
        """The one that all Sentinels name and reach: they tell each other every two seconds."""
        asked = [sentinel for sentinel in self.sentinels if sentinel.alive]
        first, *others = {self.primary_of(sentinel) for sentinel in asked}
        named = not others and first.is_primary()
        return first if named and all("down" not in told_of(sentinel)["flags"] for sentinel in asked) else None

    def _know_each_other(self) -> bool:
        return all(self._knows_all(told_of(sentinel)) for sentinel in self.sentinels)

    def _knows_all(self, told: dict[str, str]) -> bool:
        others = int(told["num-other-sentinels"]), int(told["num-slaves"])
        return others == (len(self.sentinels) - 1, len(self.servers) - 1)


def told_of(sentinel: Sentinel) -> dict[str, str]:
    """What a Sentinel knows of the primary."""
    state: Any = sentinel.ask("SENTINEL", "MASTER", NAME)
    return state if isinstance(state, dict) else dict(zip(state[::2], state[1::2], strict=True))
