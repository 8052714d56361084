"""Usage as people read it: what is spent of each limit in the window that is open."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple
from urllib.parse import unquote

from gateway.model import Application, Config, Each, Limit, Period
from gateway.quota.backup import window_of
from gateway.quota.census import Units
from gateway.quota.crossings import metric_of
from gateway.quota.holding import Holding, named_alone
from gateway.quota.periods import window, zone_of
from gateway.store import keys
from gateway.store.keys import Counted

ORDER = {period: place for place, period in enumerate(Period)}


class Usage(NamedTuple):
    """What a scope has spent of a limit. `limit` is its value and what was added; `resets_at` in Unix seconds."""

    scope: str
    plan: str
    metric: str
    period: Period
    limit: int
    spent: int
    resets_at: float | None

    @property
    def percent(self) -> int | None:
        """Rounded down; None of a limit that allows nothing."""
        return self.spent * 100 // self.limit if self.limit else None


def usage(config: Config, counters: Iterable[tuple[Counted, Units]], now: float, application: str = "") -> list[Usage]:
    """Of all limits in whose window something was counted, and of each application that counts for itself alone.

    `now` is the store's time. Counters of limits that the plans do not have any more are left out.
    """
    holding = Holding(config)
    found = {(row.scope, row.plan, row.metric, row.period): row for row in _untouched(config, now, application)}
    for name, units in counters:
        here = window_of(name)
        if here is None or not here.start <= now < (here.end or float("inf")):
            continue
        limit = holding.limit(name)
        if limit is not None:
            row = _row(shown(name.tag), limit, units.spent, units.topped, here.end)
            found[row.scope, row.plan, row.metric, row.period] = row
    return sorted(found.values(), key=lambda row: (row.scope, row.plan, row.metric, ORDER[row.period]))


def tags_of(application: Application) -> str:
    """A pattern for the hash tags of its counters."""
    own = keys.tag(application.name)
    return own if application.each is Each.SHARED else f"{own}/*"


def _untouched(config: Config, now: float, application: str) -> Iterator[Usage]:
    for app, limit in named_alone(config, application or None):
        yield _row(app.name, limit, 0, 0, window(limit.period, zone_of(limit.period, limit.zone), now).end)


def shown(tag: str) -> str:
    """The scope, or its tag where a terminal had better not print it."""
    scope = unquote(tag)
    return scope if scope.isprintable() else tag


def _row(scope: str, limit: Limit, spent: int, topped: int, end: float | None) -> Usage:
    most = max(limit.value, limit.leased + topped)  # what local shares have spent is in `topped` too
    return Usage(scope, limit.plan, metric_of(limit), limit.period, most, spent, end)
