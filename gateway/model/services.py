"""APIs: what is asked of those who call them, and where their traffic goes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from gateway.model.charging import Charging, Measure
from gateway.model.conditions import Require
from gateway.model.onward import Onward
from gateway.model.plans import HITS
from gateway.model.refusals import Refusal

MAX_BODY = 100 * 1024 * 1024  # bytes of a request's body, where nothing is said
UNLIMITED = 10**18  # bytes: more than a Content-Length can say


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
    identity: Onward = Onward()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A mapping rule: method (or ANY) and pattern → usage, in 3scale's semantics."""

    method: str
    pattern: str
    usage: Mapping[str, int]
    last: bool = False
    require: Require | None = None
    measures: tuple[Measure, ...] = ()  # of what the answer says; their reserve is in the usage


class KeyPlace(NamedTuple):
    """Where a client puts its API key: `header` and `query` with a name, or `basic` (name: username | password)."""

    kind: str
    name: str


class AppId(NamedTuple):
    """Where a client puts its application's id, and its key (3scale's `app_id` and `app_key`)."""

    id: KeyPlace
    key: KeyPlace


@dataclass(frozen=True, slots=True, kw_only=True)
class Accept:
    """One line of `accept`: all the credentials that it names must be present together.

    `anonymous`, alone in its line, is the application of those who come without any.
    """

    jwt: str | None = None  # a provider's name
    api_key: KeyPlace | None = None
    app_id: AppId | None = None
    certificate: str | None = None  # of whose issuing: a name in `Config.certificates`
    sign_in: tuple[str, ...] = ()  # providers: a session of any of them
    anonymous: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Service:
    """An API: hosts, path, upstream, rules."""

    name: str
    hosts: tuple[str, ...] = ()  # empty: any host
    path: str = "/"
    strip_path: bool = False
    usage_path: str | None = None  # where a client reads its own usage
    max_body: int = MAX_BODY
    upstream: Upstream  # where requests go
    upstreams: Mapping[str, Upstream] = field(default_factory=dict)  # others, by name
    accept: tuple[Accept, ...]
    metrics: Mapping[str, str | None] = field(default_factory=lambda: {HITS: None})  # metric → parent
    rules: tuple[Rule, ...]
    refusals: Mapping[str, Refusal] = field(default_factory=dict)  # by code, or by status for all that have no other
    require: Require | None = None
    charge: Charging = Charging()

    def with_ancestors(self, metric: str) -> Iterator[str]:
        """A metric, and those that count whatever it counts."""
        over: str | None = metric
        while over is not None:
            yield over
            over = self.metrics.get(over)
