"""Where clients connect, and what they may take."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple


class Address(NamedTuple):
    """Where to listen."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Certificate(NamedTuple):
    """A certificate, then its chain, and its key; both PEM."""

    cert: Path
    key: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerTls:
    """How clients are spoken to. The first certificate is for those who ask for no name, or an unknown one."""

    certificates: tuple[Certificate, ...]
    client_ca: Path | None = None  # None: nobody is asked for a certificate
    client_required: bool = True
    min_version: str = "1.2"
    hsts: str = ""  # Strict-Transport-Security's value


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """Where clients connect. `redirect` is the port of https that they are sent to instead of being served."""

    address: Address
    tls: ServerTls | None = None
    proxy_protocol: bool = False
    redirect: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Drain:
    """A stop, in seconds: how long traffic is still taken after readiness has failed, then what is in flight gets."""

    timeout: float = 30.0
    delay: float = 0.0


class Rate(NamedTuple):
    """So many in so many seconds."""

    amount: int
    seconds: int


class Memory(NamedTuple):
    """How much may be in use: `size` bytes of a worker where given, else a share of what its container may take."""

    percent: int = 90
    size: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientLimits:
    """What clients may take of a worker. Bytes, but for `fields`, `requests` (a connection's) and connections.

    `min_rate` is in bytes a second, either way; 0: none. `invalid_credentials` are those of one address. `waiting` are
    requests that wait for their turn at limits.
    """

    target: int = 8 * 1024
    head: int = 32 * 1024
    fields: int = 100
    min_rate: int = 240
    connections: int = 10_000
    client_connections: int = 5_000
    requests: int = 10_000
    invalid_credentials: Rate | None = Rate(1_000, 1)
    memory: Memory | None = Memory()
    waiting: int = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientTimeouts:
    """Seconds a client may take: for a head; without progress in a body, or in reading its answer; between requests.

    `connection_age` is when a connection gets its last answer.
    """

    head: float = 10.0
    body: float = 30.0
    write: float = 60.0
    keep_alive: float = 75.0
    connection_age: float = 3600.0
