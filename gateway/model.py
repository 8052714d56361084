"""The nouns. Frozen values that `config` makes and every room reads; standard library only.

3scale's words for plans, OIDC's for claims, Envoy's for traffic.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Any, NamedTuple

from gateway.destinations import Channel

HITS = "hits"  # 3scale's built-in metric: every service has it
NO_PLAN = "-"  # stands for a plan in the limits of a service itself
MAX_BODY = 100 * 1024 * 1024  # bytes of a request's body, where nothing is said
UNLIMITED = 10**18  # bytes: more than a Content-Length can say


class Period(StrEnum):
    """A calendar window that a limit counts in; `eternity` never resets."""

    SECOND = "second"
    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day"
    WEEK = "week"  # from Monday
    MONTH = "month"
    YEAR = "year"
    ETERNITY = "eternity"


class Over(StrEnum):
    """What happens to a request over a limit."""

    REJECT = "reject"  # 429
    ALLOW = "allow"  # counted on: the overage


class DownMode(StrEnum):
    """What a plan does with requests that the store cannot be asked about."""

    CLOSED = "closed"  # 503
    OPEN = "open"  # let in, counted when the store is back
    LOCAL = "local"  # let in up to a part of each limit that is kept back for this


class Each(StrEnum):
    """Whose counters the applications found by `match` use."""

    CLIENT = "client"
    USER = "user"
    ADDRESS = "address"
    SHARED = "shared"


class Per(StrEnum):
    """Whose requests a limit counts together; each other one of them has a counter of its own. The narrowest first."""

    USER = "user"  # of an application
    ADDRESS = "address"  # of an application's clients
    APPLICATION = "application"
    ACCOUNT = "account"  # its applications together
    SERVICE = "service"  # all applications of the plan together


class State(StrEnum):
    """3scale's application states that matter at run time."""

    LIVE = "live"
    SUSPENDED = "suspended"
    PENDING = "pending"


# --- traffic -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientTls:
    """How the gateway speaks TLS to others. Paths are absolute; `verify_name` replaces the host's name."""

    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    verify_name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """Seconds. `response` is the wait for the answer's head, `idle` for the next byte either way."""

    connect: float = 5.0
    response: float = 60.0
    idle: float = 60.0


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

    `min_rate` is in bytes a second, either way; 0: none. `invalid_credentials` are those of one address.
    """

    target: int = 8 * 1024
    head: int = 32 * 1024
    fields: int = 100
    min_rate: int = 240
    connections: int = 10_000
    client_connections: int = 5_000
    requests: int = 10_000
    invalid_credentials: Rate | None = Rate(100, 1)  # noqa: RUF009 - immutable
    memory: Memory | None = Memory()  # noqa: RUF009 - immutable


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


class Target(NamedTuple):
    """One address of an upstream."""

    tls: bool
    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """Where a service's traffic goes."""

    name: str
    targets: tuple[Target, ...]
    tls: ClientTls = ClientTls()
    timeouts: Timeouts = Timeouts()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A mapping rule: method (or ANY) and pattern → usage, in 3scale's semantics."""

    method: str
    pattern: str
    usage: Mapping[str, int]
    last: bool = False


class KeyPlace(NamedTuple):
    """Where a client puts its API key: `header` and `query` with a name, or `basic` (name: username | password)."""

    kind: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Accept:
    """One line of `accept`: all the credentials that it names must be present together.

    `anonymous`, alone in its line, is the application of those who come without any.
    """

    jwt: str | None = None  # a provider's name
    api_key: KeyPlace | None = None
    anonymous: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Service:
    """An API: hosts, path, upstream, rules."""

    name: str
    hosts: tuple[str, ...] = ()  # empty: any host
    path: str = "/"
    strip_path: bool = False
    max_body: int = MAX_BODY
    upstream: Upstream
    accept: tuple[Accept, ...]
    metrics: Mapping[str, str | None] = field(default_factory=lambda: {HITS: None})  # metric → parent
    rules: tuple[Rule, ...]


# --- identity ----------------------------------------------------------------------------------

ASYMMETRIC = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")


@dataclass(frozen=True, slots=True, kw_only=True)
class Oidc:
    """A token issuer. `algorithms` empty: the asymmetric ones that the provider publishes."""

    name: str
    issuer: str
    audience: tuple[str, ...]
    algorithms: tuple[str, ...] = ()
    internal_url: str | None = None  # for back-channel fetches, in place of the issuer's URL
    ca: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Identity:
    """Who, proven how. Shared by all requests of one credential, so compared by object."""

    subject: str
    client_id: str | None = None
    application: str | None = None  # named by an API key
    roles: frozenset[str] = frozenset()  # realm roles, and a client's as `client:role`
    issuer: str | None = None
    expires: float = float("inf")  # Unix seconds
    claims: Mapping[str, Any] = field(default_factory=dict)
    proof: tuple[str, ...] = ()


# --- plans -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Down:
    """A plan's `ledger_down`. For `local`: the share of a limit that is kept back, and how many gateways divide it."""

    mode: DownMode = DownMode.CLOSED
    share: Fraction = Fraction(0)
    gateways: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """A rule of a plan; its state is a counter.

    The fields before `value` are the counter's key, so that editing a value keeps the usage.
    `bins` are the percentages at which an alert is raised.
    """

    plan: str
    service: str | None = None  # None: over all services of the plan
    metric: str = HITS
    period: Period
    zone: str = "UTC"
    per: Per = Per.APPLICATION
    value: int
    over: Over = Over.REJECT
    shadow: bool = False  # only tells whom it would have refused; it is `over: allow` then
    bins: tuple[int, ...] = ()
    down: Down = Down()  # the plan's

    @property
    def leased(self) -> int:
        """The units that the store may hand out: all but what `local` keeps back."""
        if self.down.mode is not DownMode.LOCAL or self.over is Over.ALLOW:
            return self.value
        return self.value - int(self.value * self.down.share)

    @property
    def local(self) -> int:
        """The units that each gateway has for itself while the store is away."""
        return (self.value - self.leased) // self.down.gateways

    def __str__(self) -> str:
        metric = f"{self.service}.{self.metric}" if self.service else self.metric
        whose = "" if self.per is Per.APPLICATION else f" and {self.per}"
        return f"{self.value} {metric} per {self.period}{whose}"


class Pattern(NamedTuple):
    """A method (or ANY) and a path pattern, as in rules."""

    method: str
    pattern: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is allowed, limits, behaviour over them."""

    name: str
    services: tuple[str, ...]
    allow: Mapping[str, tuple[Pattern, ...]] = field(default_factory=dict)  # absent service: all that has a rule
    limits: tuple[Limit, ...] = ()
    down: Down = Down()
    channels: tuple[str, ...] = ()  # where its alerts go, besides the log


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Who owns applications."""

    name: str
    email: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """A client under plans, known by keys, client ids or (`roles`) by what its token says."""

    name: str
    plans: tuple[str, ...]
    account: str | None = None
    client_ids: tuple[str, ...] = ()
    api_keys: tuple[str, ...] = ()  # "sha256:<hex>"
    roles: tuple[str, ...] = ()  # any of these matches
    each: Each = Each.SHARED
    state: State = State.LIVE


# --- a request's way -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class Route:
    """A service and the usage of one combination of its rules, shared by all requests that match it.

    `usage` is rolled up: a metric's amount is in each of its ancestors too. `template` names the patterns
    that matched, for logs.
    """

    service: Service
    usage: Mapping[str, int]
    template: str


class Charge(NamedTuple):
    """What one request costs a limit."""

    limit: Limit
    cost: int


class Verdict(StrEnum):
    """The ledger's answer."""

    GRANTED = "granted"
    REFUSED = "refused"
    UNAVAILABLE = "unavailable"  # the store cannot be asked


class Outcome(NamedTuple):
    """A verdict with the limit that decided: the one that refused, else the scarcest (None: no limit applies).

    `remaining` is a hint. `resets_at` is in Unix seconds, None for eternity; `retry_after` in whole seconds, None
    where waiting does not help. `fallback` says that the store was not asked: let in by `open` or `local`. `shadow` is
    a limit that would have refused, if it were not in shadow.
    """

    verdict: Verdict
    limit: Limit | None = None
    remaining: int = 0
    resets_at: float | None = None
    retry_after: int | None = None
    fallback: DownMode | None = None
    shadow: Limit | None = None


class Alert(NamedTuple):
    """A counter crossed a bin. `id` is a hash of (counter, bin): the same however often it is delivered."""

    id: str
    application: str  # the scope that was counted
    plan: str
    metric: str  # `service.metric` for a service's own
    period: str
    bin: int  # percent
    value: int
    spent: int
    window_start: float  # Unix seconds
    window_end: float | None  # None: eternity
    raised_at: float


# --- the whole -----------------------------------------------------------------------------------


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
    limits: ClientLimits = ClientLimits()
    timeouts: ClientTimeouts = ClientTimeouts()
    providers: Mapping[str, Oidc] = field(default_factory=dict)
    channels: Mapping[str, Channel] = field(default_factory=dict)
    services: Mapping[str, Service] = field(default_factory=dict)
    plans: Mapping[str, Plan] = field(default_factory=dict)
    accounts: Mapping[str, Account] = field(default_factory=dict)
    applications: Mapping[str, Application] = field(default_factory=dict)
