"""What is allowed: periods, limits, plans and whose they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction
from typing import NamedTuple

from gateway.model.conditions import Require
from gateway.model.keys import ApiKey
from gateway.model.moments import Moment
from gateway.model.pricing import Pricing

HITS = "hits"  # 3scale's built-in metric: every service has it
NO_PLAN = "-"  # stands for a plan in the limits of a service itself


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


class Kind(StrEnum):
    """What a limit holds within bounds."""

    WINDOW = "window"  # how much in a calendar window
    CONCURRENT = "concurrent"  # how much at once
    RATE = "rate"  # how fast: a token bucket


class Over(StrEnum):
    """What happens to a request over a limit."""

    REJECT = "reject"  # 429
    ALLOW = "allow"  # counted on: the overage
    SUSPEND = "suspend"  # who goes over it is suspended until somebody resumes it
    DEGRADE = "degrade"  # served by another upstream, and not counted by this limit
    WAIT = "wait"  # waits for its turn, and is refused when that does not come in time


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


class AccountState(StrEnum):
    """Whether an account's applications are served at all."""

    LIVE = "live"
    DISABLED = "disabled"


class State(StrEnum):
    """3scale's application states that matter at run time."""

    LIVE = "live"
    SUSPENDED = "suspended"
    PENDING = "pending"


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
    `bins` are the percentages at which an alert is raised. Where it is no window, `period` is what a rate is for;
    what is counted at once has none, so that it says `eternity`.
    """

    plan: str
    service: str | None = None  # None: over all services of the plan
    metric: str = HITS
    period: Period
    zone: str = "UTC"
    per: Per = Per.APPLICATION
    kind: Kind = Kind.WINDOW
    value: int
    burst: int = 0  # of a rate: the most that passes at once
    over: Over = Over.REJECT
    upstream: str | None = None  # of the service, that serves what is over the limit: for `degrade`
    wait: float = 0.0  # seconds, and how many may wait in one worker: for `wait`
    places: int = 0
    shadow: bool = False  # only tells whom it would have refused; it is `over: allow` then
    meter: bool = False  # no limit at all: it only counts, for prices
    bins: tuple[int, ...] = ()
    forecast: bool = False  # whether it is told when all will be used before the window ends
    down: Down = Down()  # the plan's

    @property
    def leased(self) -> int:
        """The units that the store may hand out: all but what `local` keeps back."""
        if self.down.mode is not DownMode.LOCAL or self.over is Over.ALLOW or self.kind is not Kind.WINDOW:
            return self.value
        return self.value - int(self.value * self.down.share)

    @property
    def local(self) -> int:
        """The units that each gateway has for itself while the store is away."""
        return (self.value - self.leased) // self.down.gateways

    @property
    def span(self) -> str:
        """What it is told apart by from others of its metric: `minute`, `rate-second`, `concurrent`."""
        match self.kind:
            case Kind.WINDOW:
                return self.period
            case Kind.RATE:
                return f"{self.kind}-{self.period}"
            case Kind.CONCURRENT:
                return self.kind

    def __str__(self) -> str:
        metric = f"{self.service}.{self.metric}" if self.service else self.metric
        if self.kind is Kind.CONCURRENT:
            return f"{self.value} {metric} at once" + ("" if self.per is Per.APPLICATION else f" per {self.per}")
        rate = " as a rate" if self.kind is Kind.RATE else ""
        whose = "" if self.per is Per.APPLICATION else f" and {self.per}"
        return f"{self.value} {metric} per {self.period}{whose}{rate}"


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
    pricing: Pricing | None = None
    require: Require | None = None
    channels: tuple[str, ...] = ()  # where its alerts go, besides the log


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Who owns applications."""

    name: str
    email: str | None = None
    state: AccountState = AccountState.LIVE
    plans: tuple[str, ...] = ()  # whose limits are all its applications' together


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """A client under plans, known by keys, client ids or (`match`) by what its token says."""

    name: str
    plans: tuple[str, ...]
    limits: Mapping[str, tuple[Limit, ...]] = field(default_factory=dict)  # by plan, in place of all that it has
    account: str | None = None
    client_ids: tuple[str, ...] = ()
    api_keys: tuple[ApiKey, ...] = ()
    match: Require | None = None
    app_id: str | None = None  # public
    certificates: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # by whom they are issued, their names
    app_keys: tuple[ApiKey, ...] = ()  # any of them beside `app_id`; empty: none is asked for
    each: Each = Each.SHARED
    state: State = State.LIVE
    begins: Moment | None = None  # from when on it is served
    ends: Moment | None = None  # from when on it is not
    trial_ends: Moment | None = None
