"""Who is over a new limit at once, by what the store has counted."""

from __future__ import annotations

from collections.abc import Iterable

from gateway.diff.difference import Over
from gateway.diff.limits import limits_of
from gateway.model import Config, Each, Limit, Period
from gateway.model import Over as Beyond
from gateway.quota.backup import window_of
from gateway.quota.census import Units
from gateway.quota.counters import Rule
from gateway.quota.crossings import metric_of
from gateway.quota.report import shown
from gateway.store import keys
from gateway.store.keys import Counted


def over_at_once(before: Config, after: Config, counters: Iterable[tuple[Counted, Units]], now: float) -> list[Over]:
    """Those who are refused by `after` and were not by `before`. `now` is the store's time."""
    old, new = _limits(before), _limits(after)
    found: list[Over] = []
    for name, units in counters:
        here = window_of(name)
        if here is None or not here.start <= now < (here.end or float("inf")):
            continue
        rule = Rule(name.plan, name.service or None, name.metric, Period(name.period), name.zone)
        owner = _owner(name.tag, rule)
        limit, former = new.get(owner), old.get(owner)
        if limit is None or not _is_over(limit, units) or (former is not None and _is_over(former, units)):
            continue
        about, was = f"{metric_of(limit)} per {limit.period}", None if former is None else former.value
        found.append(Over(shown(name.tag), limit.plan, about, units.spent, was, limit.value, here.end))
    return sorted(found, key=lambda over: over[:3])


Owner = tuple[str, bool, Rule]  # an application's tag, whether one of its clients is counted, and what


def _owner(tag: str, rule: Rule) -> Owner:
    """Whose counter it is; of a long tag, which is a digest, nobody's."""
    name, slash, _ = tag.partition("/")
    return name, bool(slash), rule


def _limits(config: Config) -> dict[Owner, Limit]:
    return {
        (keys.tag(app.name), app.each is not Each.SHARED, Rule.of(limit)): limit
        for app in config.applications.values()
        for limit in limits_of(config, app)
    }


def _is_over(limit: Limit, units: Units) -> bool:
    """Whether not one more is granted."""
    return limit.over is not Beyond.ALLOW and units.spent >= limit.leased + units.topped
