"""What an application may call, as the files write it."""

from __future__ import annotations

from collections.abc import Iterable

from gateway.model import Application, Config, Pattern, plans_of
from gateway.routing.patterns import ANY, parse

Endpoint = tuple[str, Pattern]  # a service, and what of it


def endpoints(config: Config, application: Application) -> list[Endpoint]:
    """What has a rule and is allowed by the plans that open the service."""
    open_: dict[str, list[Pattern]] = {}
    for plan in plans_of(config, application):
        for service in plan.services:
            rules = [Pattern(rule.method, rule.pattern) for rule in config.services[service].rules]
            before, allowed = open_.get(service, rules), plan.allow.get(service)
            open_[service] = before if allowed is None else _both(before, allowed)
    return list(dict.fromkeys((service, pattern) for service, patterns in open_.items() for pattern in patterns))


def _both(rules: list[Pattern], allowed: Iterable[Pattern]) -> list[Pattern]:
    """The narrower of each pair."""
    found: list[Pattern] = []
    for pattern in allowed:
        inside = [rule for rule in rules if covers(pattern, rule)]
        found += inside if inside and not any(covers(rule, pattern) for rule in rules) else [pattern]
    return found


def missing(those: Iterable[Endpoint], among: Iterable[Endpoint]) -> tuple[str, ...]:
    """The endpoints that none of `among` covers, in words."""
    here = list(among)
    return tuple(
        f"{service}: {pattern.method} {pattern.pattern}"
        for service, pattern in those
        if not any(service == other and covers(wider, pattern) for other, wider in here)
    )


def covers(wide: Pattern, narrow: Pattern) -> bool:
    """Whether `wide` surely matches all that `narrow` matches; of variables only equal ones are understood."""
    if wide.method not in (ANY, narrow.method):
        return False
    if wide.pattern == narrow.pattern:
        return True
    outer, inner = parse(wide.pattern), parse(narrow.pattern)
    if not set(outer.conditions) <= set(inner.conditions):
        return False
    path, narrow_path = wide.pattern.partition("?")[0], narrow.pattern.partition("?")[0]
    if outer.match is None:
        return inner.head.startswith(outer.head)
    return path == narrow_path or (not path.endswith(("$", "}")) and narrow_path.startswith(path))
