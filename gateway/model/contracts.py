"""What holds for an application: its plans, with limits of its own, and its account's, counted for all together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from gateway.model.plans import Account, Application, Kind, Limit, Per, Plan
from gateway.model.whole import Config


def plans_of(config: Config, application: Application) -> tuple[Plan, ...]:
    """The application's own come first. No two of its own are for one service, and no two of its account's."""
    account = account_of(config, application)
    own = (for_application(config.plans[name], application) for name in application.plans)
    theirs = (for_account(config.plans[name]) for name in (account.plans if account is not None else ()))
    return (*own, *theirs)


def account_of(config: Config, application: Application) -> Account | None:
    """Its owner."""
    return None if application.account is None else config.accounts.get(application.account)


def for_application(plan: Plan, application: Application) -> Plan:
    """With the limits that hold for this application."""
    own = application.limits.get(plan.name)
    return plan if own is None else replace(plan, limits=own)


def for_account(plan: Plan) -> Plan:
    """As a plan of an account: what would be each application's is all of theirs together."""
    limits = (replace(limit, per=Per.ACCOUNT) if limit.per is Per.APPLICATION else limit for limit in plan.limits)
    return replace(plan, limits=distinct(limits))


def limits_of(plans: Iterable[Plan], service: str | None = None) -> tuple[Limit, ...]:
    """Of all these plans, or of those that open a service; what two of them would count twice, once."""
    return distinct(limit for plan in plans if service is None or service in plan.services for limit in plan.limits)


def distinct(limits: Iterable[Limit]) -> tuple[Limit, ...]:
    """The first of those that have one counter."""
    found: dict[object, Limit] = {}
    for limit in limits:
        key = limit.plan, limit.service, limit.metric, limit.kind, limit.period, limit.zone, limit.per
        found.setdefault(key, limit)
    return tuple(found.values())


def shown(limits: Iterable[Limit]) -> list[Limit]:
    """Those with usage to show: without what only counts for prices, and what is not counted in windows."""
    return [limit for limit in limits if not limit.meter and limit.kind is Kind.WINDOW]


def every_limit(config: Config) -> Iterator[Limit]:
    """All that count somewhere, as the plans say; not what single applications have in their place."""
    for plan in config.plans.values():
        yield from plan.limits
    for name in dict.fromkeys(name for account in config.accounts.values() for name in account.plans):
        yield from for_account(config.plans[name]).limits
