"""Who is over a new limit at once, by what the store has counted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from urllib.parse import unquote

from gateway.diff.difference import Over
from gateway.diff.limits import label, limits_of
from gateway.model import Application, Config, Each, Limit, Per, Period
from gateway.model import Over as Beyond
from gateway.quota.backup import window_of
from gateway.quota.census import Units
from gateway.quota.counters import Rule
from gateway.quota.holding import pers_of
from gateway.quota.report import shown
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
        owner = next((owner for owner in _owners(name, rule) if owner in new), None)
        if owner is None:
            continue
        limit, former = new[owner], old.get(owner)
        if not _is_over(limit, units) or (former is not None and _is_over(former, units)):
            continue
        was = None if former is None else former.value
        found.append(Over(shown(name.tag), limit.plan, label(limit), units.spent, was, limit.value, here.end))
    return sorted(found, key=lambda over: over[:3])


Owner = tuple[str, bool, Rule]  # a name, whether one of its clients or users is counted, and what


def _owners(name: Counted, rule: Rule) -> Iterator[Owner]:
    """Whose counter it may be; of a long tag, which is a digest, nobody's."""
    for per in pers_of(name.tag):
        scope = unquote(name.tag) if per is Per.APPLICATION else unquote(name.tag).partition(":")[2]
        whose, slash, _ = scope.partition("/")
        yield whose, bool(slash), rule._replace(per=per)


def _limits(config: Config) -> dict[Owner, Limit]:
    return {
        (whose, narrow, Rule.of(limit)): limit
        for app in config.applications.values()
        for limit in limits_of(config, app)
        for whose, narrow in _counted(config, app, limit)
    }


def _counted(config: Config, app: Application, limit: Limit) -> Iterator[tuple[str, bool]]:
    """The names under which an application's requests count, and whether each of its clients or users does."""
    match limit.per:
        case Per.SERVICE:
            services = config.plans[limit.plan].services if limit.service is None else (limit.service,)
            yield from ((service, False) for service in services)
        case Per.ACCOUNT:
            yield app.account or "", False
        case Per.APPLICATION:
            yield app.name, app.each is not Each.SHARED
        case _:
            yield app.name, True


def _is_over(limit: Limit, units: Units) -> bool:
    """Whether not one more is granted."""
    return limit.over is not Beyond.ALLOW and units.spent >= limit.leased + units.topped
