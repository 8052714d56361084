"""Which limit a counter is of, by the plans that hold."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import unquote

from gateway.model import Application, Config, Each, Limit, Per, Period, every_limit, limits_of, plans_of, shown
from gateway.quota.counters import Rule
from gateway.store.keys import Counted


class Holding:
    """Of one configuration."""

    def __init__(self, config: Config) -> None:
        self._limits = {Rule.of(limit): limit for limit in shown(every_limit(config))}
        self._own = {  # of applications that have limits of their own, all of them
            app.name: {Rule.of(limit): limit for limit in shown(limits_of(plans_of(config, app)))}
            for app in config.applications.values()
            if app.limits
        }

    def limit(self, name: Counted) -> Limit | None:
        """The limit that a counter is of; None: there is no such limit any more."""
        rule = Rule(name.plan, name.service or None, name.metric, Period(name.period), name.zone)
        limits = self._own.get(owner_of(name.tag), self._limits)
        return next(filter(None, (limits.get(rule._replace(per=per)) for per in pers_of(name.tag))), None)


def pers_of(tag: str) -> tuple[Per, ...]:
    """Whose requests count in a scope, by its tag: all that they may be where it is a digest."""
    kind, colon, _ = unquote(tag).partition(":")
    if tag.startswith("~"):
        return tuple(Per)
    return (Per(kind),) if colon and kind in list(Per) else (Per.APPLICATION,)


def owner_of(tag: str) -> str:
    """The application whose counters are in a scope, by its tag; "" where that is not clear."""
    scope = unquote(tag)
    kind, colon, rest = scope.partition(":")
    if tag.startswith("~") or (colon and kind in (Per.ACCOUNT, Per.SERVICE)):
        return ""
    return (rest if colon and kind in list(Per) else scope).partition("/")[0]


def named_alone(config: Config, application: str | None) -> Iterator[tuple[Application, Limit]]:
    """Limits in windows of applications that are counted by name alone, of one or (None) of all."""
    for app in config.applications.values():
        if app.each is Each.SHARED and application in (None, app.name):
            yield from (
                (app, limit) for limit in shown(limits_of(plans_of(config, app))) if limit.per is Per.APPLICATION
            )
