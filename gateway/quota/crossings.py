"""Bins: at which units an alert is raised, and what it says."""

from __future__ import annotations

import json
from hashlib import sha256

from gateway.model import Alert, Limit, Over
from gateway.quota.periods import Window

NEVER = 2.0**64  # above any count


def thresholds(limit: Limit, value: int) -> tuple[tuple[int, int], ...]:
    """(units, bin) in rising order: the bin is reached when so many units of `value` are spent."""
    return tuple(sorted((max(1, -(-bin_ * value // 100)), bin_) for bin_ in set(limit.bins)))


def metric_of(limit: Limit) -> str:
    """The metric as people name it: `service.metric` for a service's own."""
    return f"{limit.service}.{limit.metric}" if limit.service else limit.metric


def fingerprint(key: str) -> str:
    """What all alert ids of a counter begin with."""
    return sha256(key.encode()).hexdigest()[:32]


def alert(scope: str, limit: Limit, key: str, window: Window, bin_: int, spent: int, at: float) -> Alert:
    """A crossing of `bin_` by the counter `key`, at `at` (Unix seconds)."""
    return Alert(
        id=f"{fingerprint(key)}-{bin_}",
        application=scope,
        plan=limit.plan,
        metric=metric_of(limit),
        period=limit.period.value,
        bin=bin_,
        value=limit.value,
        spent=spent,
        window_start=window.start,
        window_end=window.end,
        raised_at=at,
        rejects=refuses(limit),
    )


def refuses(limit: Limit) -> bool:
    """Whether requests over it are refused."""
    return limit.over not in (Over.ALLOW, Over.DEGRADE)


def about(scope: str, limit: Limit, key: str, window: Window) -> str:
    """An Alert's JSON up to what only the store knows: it ends inside the id, where the bin follows."""
    known = alert(scope, limit, key, window, 0, 0, 0.0)._asdict()
    for later in ("id", "bin", "spent", "raised_at", "refused", "kind"):
        del known[later]
    return f'{json.dumps(known)[:-1]}, "id": "{fingerprint(key)}-'
