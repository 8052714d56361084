"""RateLimit and RateLimit-Policy (draft-ietf-httpapi-ratelimit-headers-10) of the limit that decided."""

from __future__ import annotations

import math
from typing import NamedTuple

from gateway.http.decimals import decimal
from gateway.model import Kind, Limit, Outcome, Per, Period

SECONDS = {  # `w`, the window's length; the longest that it gets where months and years differ
    Period.SECOND: 1,
    Period.MINUTE: 60,
    Period.HOUR: 3600,
    Period.DAY: 86400,
    Period.WEEK: 7 * 86400,
    Period.MONTH: 31 * 86400,
    Period.YEAR: 366 * 86400,
}


class Policy(NamedTuple):
    """What is said of a limit, made once. The limit itself is kept so that its id is not reused."""

    limit: Limit
    name: str  # as `hits-minute`, `orders.hits-month` or `hits-minute-user`
    lines: bytes  # RateLimit-Policy, and RateLimit up to its parameters


def limit_fields(outcome: Outcome, now: float) -> bytes:
    """Both fields as lines; nothing where no limit applies. `r` is a hint; without `t` the window never ends."""
    limit = outcome.limit
    if limit is None:
        return b""
    lines = policy_of(limit).lines
    if outcome.resets_at is None:
        return b"%b;r=%b\r\n" % (lines, decimal(max(0, outcome.remaining)))
    reset = decimal(max(0, math.ceil(outcome.resets_at - now)))
    return b"%b;r=%b;t=%b\r\n" % (lines, decimal(max(0, outcome.remaining)), reset)


def policy_of(limit: Limit) -> Policy:
    """The limit's name and lines."""
    return _policies.get(id(limit)) or _remember(limit)


_policies: dict[int, Policy] = {}


def _remember(limit: Limit) -> Policy:
    metric = f"{limit.service}.{limit.metric}" if limit.service else limit.metric
    whose = "" if limit.per is Per.APPLICATION else f"-{limit.per}"
    name = f"{metric}-{limit.span}{whose}"
    lines = f'ratelimit-policy: "{name}";{quota_of(limit)}\r\nratelimit: "{name}"'
    if len(_policies) > 10_000:  # reloads leave old ones behind
        _policies.clear()
    policy = _policies[id(limit)] = Policy(limit, name, lines.encode())
    return policy


def quota_of(limit: Limit) -> str:
    """How much, and in which time: of a rate, its bucket, and how long that takes to fill."""
    match limit.kind:
        case Kind.CONCURRENT:
            return f'q={limit.value};qu="concurrent-requests"'
        case Kind.RATE:
            return f"q={limit.burst};w={math.ceil(limit.burst * SECONDS[limit.period] / limit.value)}"
        case Kind.WINDOW:
            return f"q={limit.value}" + (f";w={SECONDS[limit.period]}" if limit.period in SECONDS else "")
