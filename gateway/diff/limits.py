"""An application's limits before and after: which became which, and which counters start anew."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gateway import model
from gateway.diff.difference import Fresh, Kind, LimitChange
from gateway.diff.plain import changes
from gateway.model import Application, Config, Each, Limit
from gateway.quota.counters import Rule, is_window
from gateway.quota.crossings import metric_of

Pair = tuple[Limit | None, Limit | None]

TOLD = frozenset({*Rule._fields, "value"})  # by themselves
WORDS = {"zone": "time zone"}
EACH = {
    Each.SHARED: "all clients together",
    Each.CLIENT: "each client",
    Each.USER: "each user",
    Each.ADDRESS: "each address",
}


def limits_of(config: Config, application: Application) -> list[Limit]:
    """Its own, and its account's."""
    return model.shown(model.limits_of(model.plans_of(config, application)))


def label(limit: Limit) -> str:
    """What it limits, such as `hits per minute`, without how many."""
    return str(limit).partition(" ")[2]


def pairs(before: list[Limit], after: list[Limit]) -> list[Pair]:
    """What became of each limit: by its counter, else by metric and period, else by metric where that is clear."""
    left, found = list(before), dict[Limit, Limit]()
    for alike in (Rule.of, _metric_and_period, _metric):
        for limit in (limit for limit in after if limit not in found):
            candidates = [old for old in left if alike(old) == alike(limit)]
            rivals = [new for new in after if new not in found and alike(new) == alike(limit)]
            if len(candidates) == len(rivals) == 1:
                found[limit] = candidates[0]
                left.remove(candidates[0])
    return [*((found.get(limit), limit) for limit in after), *((limit, None) for limit in left)]


def _metric_and_period(limit: Limit) -> Any:
    return limit.service, limit.metric, limit.kind, limit.period


def _metric(limit: Limit) -> Any:
    return limit.service, limit.metric, limit.kind


def limit_changes(found: list[Pair]) -> Iterator[LimitChange]:
    """In words."""
    for before, after in found:
        limit = after or before
        assert limit is not None
        name = label(limit)
        if before is None or after is None:
            kind = Kind.ADDED if before is None else Kind.REMOVED
            yield LimitChange(kind, name, _amount(before), _amount(after))
            continue
        if before.period is not after.period:
            texts = (f"{limit.value} per {limit.period}" for limit in (before, after))
            yield LimitChange(Kind.CHANGED, metric_of(after), *texts)
        elif before.value != after.value:
            kind = Kind.RAISED if before.value < after.value else Kind.LOWERED
            yield LimitChange(kind, name, _amount(before), _amount(after))
        for change in changes(before, after, without=TOLD):
            yield LimitChange(Kind.CHANGED, f"{name}, {change.what}", change.before, change.after)


def _amount(limit: Limit | None) -> str | None:
    return None if limit is None else str(limit.value)


def fresh(found: list[Pair], before: Each, after: Each) -> Iterator[Fresh]:
    """The counters that start at 0, of an application that was there before."""
    for old, new in found:
        if new is not None and is_window(new):
            name = label(new)
            why = f"it counts {EACH[after]}, was {EACH[before]}" if before is not after else _why(old, new)
            if why:
                yield Fresh(name, why)


def _why(old: Limit | None, new: Limit) -> str:
    if old is None:
        return "the limit is new"
    if Rule.of(old) == Rule.of(new):
        return ""
    was, is_ = Rule.of(old), Rule.of(new)
    return "; ".join(
        f"{WORDS.get(field, field)} {getattr(is_, field)}, was {getattr(was, field)}"
        for field in Rule._fields
        if getattr(was, field) != getattr(is_, field)
    )
