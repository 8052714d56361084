"""Two configurations → what differs, and to whom it matters. A function of its arguments alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from gateway.diff.difference import Change, Difference, Effect, Item, Kind
from gateway.diff.endpoints import endpoints, missing
from gateway.diff.limits import fresh, limit_changes, limits_of, pairs
from gateway.diff.plain import changes
from gateway.model import ApiKey, Application, Config, plans_of
from gateway.process.changes import fixed_changes

SECTIONS = frozenset({"providers", "saml", "channels", "services", "plans", "accounts", "applications"})
ELSEWHERE = ("kind", "url", "nodes", "service", "database", "prefix")  # where in a store counters are
LISTS = ("client_ids", "api_keys", "app_keys")
PLAIN = frozenset({"name", "plans", "limits", *LISTS})


def compare(before: Config, after: Config) -> Difference:
    """Both made `portable`, unless paths are to be compared as they are."""
    return Difference(
        gateway=changes(before, after, without=SECTIONS),
        restart=tuple(fixed_changes(before, after)),
        items=tuple(_items(before, after)),
        applications=tuple(_applications(before, after)),
        notes=tuple(_notes(before, after)),
    )


# --- what is shared


def _items(before: Config, after: Config) -> Iterator[Item]:
    users_of = {"services": by_service, "providers": None, "saml": None, "channels": None, "accounts": by_account}
    for section, users in users_of.items():
        old, new = getattr(before, section), getattr(after, section)
        for name, kind in _names(old, new):
            differs = changes(old.get(name), new.get(name), without=frozenset({"name"}))
            for_ = () if users is None else tuple(dict.fromkeys((*users(after, name), *users(before, name))))
            if kind is not Kind.CHANGED:
                yield Item(section, name, kind, (), for_)
            elif differs:
                yield Item(section, name, kind, differs, for_)
    yield from _plans(before, after)


def _plans(before: Config, after: Config) -> Iterator[Item]:
    """What a plan's change means is told at the applications that have it."""
    for name, kind in _names(before.plans, after.plans):
        if kind is not Kind.CHANGED or before.plans[name] != after.plans[name]:
            for_ = tuple(dict.fromkeys((*by_plan(after, name), *by_plan(before, name))))
            yield Item("plans", name, kind, (), for_)


def by_service(config: Config, service: str) -> list[str]:
    """The applications that a service is open to."""
    plans = {plan.name for plan in config.plans.values() if service in plan.services}
    return [app.name for app in config.applications.values() if not plans.isdisjoint(_plans_of(config, app))]


def by_account(config: Config, account: str) -> list[str]:
    """Its applications."""
    return [app.name for app in config.applications.values() if app.account == account]


def by_plan(config: Config, plan: str) -> list[str]:
    return [app.name for app in config.applications.values() if plan in _plans_of(config, app)]


def _plans_of(config: Config, application: Application) -> list[str]:
    """By name: its own, then its account's."""
    return [plan.name for plan in plans_of(config, application)]


def _names(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[tuple[str, Kind]]:
    for name in dict.fromkeys((*before, *after)):
        yield name, Kind.ADDED if name not in before else Kind.REMOVED if name not in after else Kind.CHANGED


# --- applications


def _applications(before: Config, after: Config) -> Iterator[tuple[str, Effect]]:
    for name, kind in _names(before.applications, after.applications):
        if kind is Kind.CHANGED:
            effect = _effect(before, after, name)
            if any(effect[1:]):
                yield name, effect
        else:
            yield name, _whole(before if kind is Kind.REMOVED else after, name, kind)


def _effect(before: Config, after: Config, name: str) -> Effect:
    old, new = before.applications[name], after.applications[name]
    found = pairs(limits_of(before, old), limits_of(after, new))
    could, can = endpoints(before, old), endpoints(after, new)
    return Effect(
        Kind.CHANGED,
        tuple(_own(before, after, old, new)),
        gained=missing(can, could),
        lost=missing(could, can),
        limits=tuple(limit_changes(found)),
        fresh=tuple(fresh(found, old.each, new.each)),
    )


def _whole(config: Config, name: str, kind: Kind) -> Effect:
    """Of an application that came or went: what it may, or might, do."""
    application = config.applications[name]
    endpoints_ = missing(endpoints(config, application), ())
    limits = limits_of(config, application)
    plans = ", ".join(_plans_of(config, application))
    if kind is Kind.ADDED:
        found = limit_changes([(None, limit) for limit in limits])
        return Effect(kind, (Change("plans", None, plans),), gained=endpoints_, limits=tuple(found))
    return Effect(kind, (Change("plans", plans, None),), lost=endpoints_)


def _own(before: Config, after: Config, old: Application, new: Application) -> Iterator[Change]:
    """Its plans, state, owner and credentials; and what its plans do while the store is away."""
    if old.plans != new.plans:
        yield Change("plans", ", ".join(old.plans), ", ".join(new.plans))
    yield from changes(old, new, without=PLAIN)
    for field in LISTS:
        had, has = getattr(old, field), getattr(new, field)
        yield from (Change(field, _credential(item), None) for item in had if item not in has)
        yield from (Change(field, None, _credential(item)) for item in has if item not in had)
    for plan in (plan for plan in new.plans if plan in old.plans):
        differing = changes(
            before.plans[plan], after.plans[plan], without=frozenset({"name", "services", "allow", "limits"})
        )
        yield from (Change(f"{plan}: {change.what}", *change[1:]) for change in differing)


def _credential(item: str | ApiKey) -> str:
    """A key is told by the beginning of its digest, and by what bounds it."""
    if isinstance(item, str):
        return item
    until = [] if item.expires is None else [f"until {datetime.fromtimestamp(item.expires, UTC):%Y-%m-%dT%H:%M:%SZ}"]
    return " ".join((str(item), *until, *(f"for {whom}" for whom in (*item.addresses, *item.referrers))))


# --- what is easily overlooked


def _notes(before: Config, after: Config) -> Iterator[str]:
    if any(getattr(before.store, field) != getattr(after.store, field) for field in ELSEWHERE):
        yield "counters are elsewhere: all start at 0, unless `gateway usage export` and `import` take them along"
    old, new = _matching(before), _matching(after)
    if [name for name in old if name in new] != [name for name in new if name in old]:
        yield f"clients are looked for by `match` in another order: {', '.join(new)}"


def _matching(config: Config) -> list[str]:
    return [app.name for app in config.applications.values() if app.match is not None]
