"""What a month's use costs, by the prices of the plans and what was counted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from math import inf
from typing import Any, NamedTuple

from gateway.model import AccountState, Application, Config, Each, Per, Period, Pricing, State, cost_of
from gateway.quota.census import Units
from gateway.quota.periods import Window, window
from gateway.quota.report import shown
from gateway.store.keys import Counted

NOTHING = Decimal(0)
EXACT = Decimal("0.0001")  # a price has four decimals, and units are whole


class Line(NamedTuple):
    """Units of a metric, and what they cost."""

    metric: str
    units: int
    cost: Decimal


class Bill(NamedTuple):
    """Of one scope under one plan, for a month: of an application, of one of its clients, or of an account. With
    `trial` all costs nothing.
    """

    scope: str
    plan: str
    month: str
    currency: str
    monthly: Decimal
    setup: Decimal
    lines: tuple[Line, ...]
    trial: bool

    @property
    def total(self) -> Decimal:
        """Of everything."""
        return self.monthly + self.setup + sum((line.cost for line in self.lines), NOTHING)

    def told(self) -> dict[str, Any]:
        """For JSON; amounts are text, exact."""
        lines = [{"metric": line.metric, "units": line.units, "cost": written(line.cost)} for line in self.lines]
        amounts = {name: written(getattr(self, name)) for name in ("monthly", "setup", "total")}
        return {**self._asdict(), **amounts, "lines": lines}


def written(amount: Decimal) -> str:
    """With four decimals."""
    return str(amount.quantize(EXACT))


def bills(
    config: Config, counters: Iterable[tuple[Counted, Units]], month: str, application: str | None = None
) -> list[Bill]:
    """By scope and plan, of all whose plans have prices, or of one application. `month` as 2026-11, in the zone of each
    plan's prices.
    """
    priced = {name: plan.pricing for name, plan in config.plans.items() if plan.pricing is not None}
    months = {name: window_of(month, pricing.zone) for name, pricing in priced.items()}
    used: dict[tuple[str, str], dict[str, int]] = {key: {} for key in _fixed(config, months)}
    for name, units in counters:
        pricing = priced.get(name.plan)
        metric = f"{name.service}.{name.metric}" if name.service else name.metric
        if pricing is None or metric not in pricing.metrics or not _is_of(name, months[name.plan], pricing):
            continue
        used.setdefault((shown(name.tag), name.plan), {})[metric] = units.spent
    return [
        _bill(config, scope, plan, month, months[plan], used[scope, plan])
        for scope, plan in sorted(used)
        if application is None or _owner(scope) == application
    ]


def window_of(month: str, zone: str) -> Window:
    """Raises ValueError for what is none, such as 2026-13."""
    return window(Period.MONTH, zone, datetime.strptime(f"{month}-15", "%Y-%m-%d").replace(tzinfo=UTC).timestamp())


def _is_of(name: Counted, here: Window, pricing: Pricing) -> bool:
    """Whether it counts an application or an account in that month; a limit per user has a counter of its own."""
    by_application = not any(name.tag.startswith(f"{per}%3A") for per in (Per.USER, Per.ADDRESS, Per.SERVICE))
    return by_application and (name.period, name.zone, name.start) == (Period.MONTH, pricing.zone, int(here.start))


def _fixed(config: Config, months: dict[str, Window]) -> Iterator[tuple[str, str]]:
    """Who pays for a month also without any use: who is counted by name alone."""
    for app in config.applications.values():
        if app.each is Each.SHARED:
            yield from ((app.name, plan) for plan in app.plans if plan in months and _is_there(app, months[plan]))
    for account in config.accounts.values():
        if account.state is AccountState.LIVE:
            yield from ((f"account:{account.name}", plan) for plan in account.plans if plan in months)


def _is_there(app: Application, here: Window) -> bool:
    begins, ends = app.begins, app.ends
    inside = (begins is None or begins < (here.end or inf)) and (ends is None or ends > here.start)
    return inside and app.state is not State.PENDING


def _bill(config: Config, scope: str, plan: str, month: str, here: Window, used: dict[str, int]) -> Bill:
    pricing = config.plans[plan].pricing
    assert pricing is not None
    app = config.applications.get(_owner(scope))
    trial = app is not None and app.trial_ends is not None
    factor = 0 if trial else 1
    lines = tuple(
        Line(metric, used.get(metric, 0), factor * cost_of(used.get(metric, 0), ranges))
        for metric, ranges in pricing.metrics.items()
    )
    begun = app is not None and app.begins is not None and here.start <= app.begins < (here.end or inf)
    monthly, setup = factor * pricing.monthly, factor * pricing.setup if begun else NOTHING
    return Bill(scope, plan, month, pricing.currency, monthly, setup, lines, trial)


def _owner(scope: str) -> str:
    """The application in a scope; an account's is its own."""
    kind, colon, _ = scope.partition(":")
    return scope if colon and kind == Per.ACCOUNT else scope.partition("/")[0]
