"""Everything that the files declare."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path

from gateway.destinations import Channel
from gateway.model.clients import Address, ClientLimits, ClientTimeouts, Drain, Listener
from gateway.model.identities import ClientCertificates, Oidc, Saml, SignOn
from gateway.model.onward import IdentityTokens
from gateway.model.plans import Account, Application, Plan
from gateway.model.services import Service


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """Where counters live: `memory`, `embedded` (a bundled Valkey), `url`, `sentinel` or `cluster`. Times in seconds.

    `nodes` are the sentinels, or some servers of the cluster. `wait` is how many replicas must have a grant before it
    is used; None: see `replicas`. `fence` is how long gateways wait for each other after the store has lost data.
    """

    kind: str = "embedded"
    url: str | None = None  # redis://, rediss://, unix://
    nodes: tuple[Address, ...] = ()
    service: str | None = None  # what the sentinels call the primary
    database: int = 0  # behind sentinels; a URL names its own
    tls: bool = False  # for `nodes`; a URL says it itself
    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    sentinel_username: str | None = None
    sentinel_password: str | None = field(default=None, repr=False)
    prefix: str = "gw"
    timeout: float = 0.05
    wait: int | None = None
    fence: float = 5.0

    @property
    def replicas(self) -> int:
        """How many replicas must have a grant before it is used: 1 where a replica may be promoted."""
        return int(self.kind in ("sentinel", "cluster")) if self.wait is None else self.wait


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Everything that the files declare."""

    listen: tuple[Listener, ...] = (Listener(address=Address("0.0.0.0", 8080)),)  # noqa: S104 - a gateway's job
    admin: Address = Address("127.0.0.1", 8081)
    workers: int = 1
    data: Path = Path("data")
    store: Store = Store()
    drain: Drain = Drain()
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = ()
    client_certificate: str | None = None  # how those tell of their client's: client_cert or xfcc
    limits: ClientLimits = ClientLimits()
    timeouts: ClientTimeouts = ClientTimeouts()
    sign_on: SignOn = SignOn()
    providers: Mapping[str, Oidc] = field(default_factory=dict)
    certificates: Mapping[str, ClientCertificates] = field(default_factory=dict)
    saml: Mapping[str, Saml] = field(default_factory=dict)
    channels: Mapping[str, Channel] = field(default_factory=dict)
    identity_tokens: IdentityTokens | None = None
    services: Mapping[str, Service] = field(default_factory=dict)
    plans: Mapping[str, Plan] = field(default_factory=dict)
    accounts: Mapping[str, Account] = field(default_factory=dict)
    applications: Mapping[str, Application] = field(default_factory=dict)
