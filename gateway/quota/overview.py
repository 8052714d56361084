"""Usage of many scopes at once, by a walk over the store, and how one counter is told."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from gateway.model import Config
from gateway.quota.adjust import Account, Had
from gateway.quota.backup import window_of, written
from gateway.quota.census import Units
from gateway.quota.counters import Rule
from gateway.quota.crossings import metric_of, refuses
from gateway.quota.holding import Holding, named_alone
from gateway.quota.periods import window, zone_of
from gateway.quota.report import shown
from gateway.store.keys import Counted

NOTHING = Had(0, 0, 0)


def overview(
    config: Config, counters: Iterable[tuple[Counted, Units]], now: float, application: str | None
) -> list[tuple[str, Account]]:
    """By scope: all limits in whose window something was counted, and those of who is counted by name alone.

    `now` is the store's time. Counters of limits that the plans do not have any more are left out.
    """
    holding = Holding(config)
    found = {(scope, Rule.of(account.limit)): account for scope, account in _untouched(config, now, application)}
    for name, units in counters:
        here = window_of(name)
        if here is None or not here.start <= now < (here.end or float("inf")):
            continue
        limit = holding.limit(name)
        if limit is not None:
            found[shown(name.tag), Rule.of(limit)] = Account(limit, here, Had(*units[:3]))
    return [(scope, account) for (scope, _), account in sorted(found.items(), key=lambda item: item[0][0])]


def _untouched(config: Config, now: float, application: str | None) -> Iterator[tuple[str, Account]]:
    for app, limit in named_alone(config, application):
        yield app.name, Account(limit, window(limit.period, zone_of(limit.period, limit.zone), now), NOTHING)


def told(scope: str, account: Account) -> dict[str, Any]:
    """For JSON. `limit` is the plan's value and what was added, or what local shares have spent beside it; `held` are
    units in hand of gateways. Times in RFC 3339; `resets_at` None: never.
    """
    limit, here, units = account
    most = max(limit.value, limit.leased + units.topped)
    end = None if here.end is None else written(here.end)
    return {
        "scope": scope,
        "plan": limit.plan,
        "metric": metric_of(limit),
        "period": limit.period.value,
        "per": limit.per.value,
        "limit": most,
        **units._asdict(),
        "remaining": max(0, most - units.spent),
        "percent": units.spent * 100 // most if most else None,
        "refuses": refuses(limit),
        "window": {"start": written(here.start), "end": end},
        "resets_at": end,
    }
