"""Whose counters there are, by the plans: which limits count in a scope, and how people name them."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.model import Application, Config, Each, Limit, Per, limits_of, plans_of, shown
from gateway.quota.crossings import metric_of


class UnknownError(Exception):
    """The plans have no such application, plan or limit."""


def named(limit: Limit) -> str:
    """A limit within its plan, such as `hits/month` or `orders.writes/day`."""
    return f"{metric_of(limit)}/{limit.period}"


def limits_in(config: Config, scope: str) -> list[Limit]:
    """Those with windows that count in a scope: `mobile`, `customers/CLIENT`, `user:mobile/SUBJECT`,
    `address:mobile/ADDRESS`, `account:acme`, `service:orders`. Raises UnknownError.
    """
    kind, colon, name = scope.partition(":")
    per = Per(kind) if colon and kind in list(Per) else Per.APPLICATION
    if per is Per.SERVICE:
        plans = [plan for plan in config.plans.values() if name in plan.services]
    elif per is Per.ACCOUNT:
        apps = [app for app in config.applications.values() if app.account == name]
        plans = [plan for app in apps for plan in plans_of(config, app)]
    else:
        plans = [*plans_of(config, _application(config, scope if per is Per.APPLICATION else name, per))]
    limits = [limit for limit in shown(limits_of(plans)) if limit.per is per]
    if per is Per.SERVICE:  # its own are in each plan that opens it
        limits = [limit for limit in limits if limit.service in (None, name)]
    if not limits:
        raise UnknownError(f"no limit of the plans counts for '{scope}'")
    return limits


def _application(config: Config, scope: str, per: Per) -> Application:
    name, slash, _ = scope.partition("/")
    application = config.applications.get(name)
    if application is None:
        raise UnknownError(f"'{name}' is not an application of the plans")
    each = application.each
    if per is Per.APPLICATION and each is Each.SHARED and slash:
        raise UnknownError(f"clients of '{name}' are counted together: name the application alone")
    if not slash and (per is not Per.APPLICATION or each is not Each.SHARED):
        whose = per if per is not Per.APPLICATION else each
        raise UnknownError(f"each {whose} of '{name}' is counted: say which one, as {name}/{whose.upper()}")
    return application


def chosen(limits: Sequence[Limit], plan: str | None, limit: str | None) -> list[Limit]:
    """Those of a plan, and of that name; None: whichever. Raises UnknownError for none."""
    found = [one for one in limits if plan in (None, one.plan) and limit in (None, named(one))]
    if not found:
        known = ", ".join(dict.fromkeys(f"{named(one)} of {one.plan}" for one in limits))
        raise UnknownError(f"there is no limit '{limit or plan}' here, but {known}")
    return found
