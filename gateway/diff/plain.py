"""Values of the model as flat text, to be compared and shown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from gateway.diff.difference import Change
from gateway.model import Moment, Rule
from gateway.telemetry.logs import redact

TYPE = ".type"  # of what may be one of several
ORDER = "order of "
THEN = ", then "


def changes(before: object, after: object, *, without: frozenset[str] = frozenset()) -> tuple[Change, ...]:
    """Between two values of one class; None: it is not there. `without`: fields that are not looked at."""
    old, new = dict(_flat(before, without)), dict(_flat(after, without))
    return tuple(
        Change(name, *map(_shown, (old.get(name), new.get(name))))
        for name in dict.fromkeys((*old, *new))
        if old.get(name) != new.get(name) and not _follows(name, old.get(name), new.get(name))
    )


def _follows(name: str, old: tuple[str, bool] | None, new: tuple[str, bool] | None) -> bool:
    """Whether it is told by other changes already: something came or went."""
    if name.endswith(TYPE):
        return old is None or new is None
    if not name.startswith(ORDER):
        return False
    was, is_ = ([] if text is None else text[0].split(THEN) for text in (old, new))
    return [one for one in was if one in is_] == [one for one in is_ if one in was]


def _shown(text: tuple[str, bool] | None) -> str | None:
    return None if text is None or text[1] else redact(text[0])


def _flat(value: Any, without: frozenset[str]) -> Iterator[tuple[str, tuple[str, bool]]]:
    if value is not None:
        for field in fields(value):
            if field.name not in without:
                yield from _named(field.name, getattr(value, field.name), not field.repr)


def _named(name: str, value: Any, secret: bool) -> Iterator[tuple[str, tuple[str, bool]]]:
    """What is empty is not there."""
    if isinstance(value, tuple) and value and all(isinstance(item, Rule) for item in value):
        yield from _rules(name, value)
    elif is_dataclass(value):
        yield f"{name}{TYPE}", (type(value).__name__.lower(), False)
        for inner, text in _flat(value, frozenset()):
            yield f"{name}.{inner}", text
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _named(f"{name}.{key}", "none" if item is None else item, secret)
    elif value is not None and value != ():
        yield name, (words(value), secret or _has_secret(value))


def _has_secret(value: Any) -> bool:
    """Within a list, which is shown whole or not at all."""
    if is_dataclass(value):
        given = ((field, getattr(value, field.name)) for field in fields(value))
        return any(item is not None if not field.repr else _has_secret(item) for field, item in given)
    return isinstance(value, tuple) and any(map(_has_secret, value))


def _rules(name: str, rules: tuple[Rule, ...]) -> Iterator[tuple[str, tuple[str, bool]]]:
    """Each by its pattern; the order counts where one ends the search."""
    usages: dict[str, list[str]] = {}
    for rule in rules:
        measured = {measure.metric: str(measure) for measure in rule.measures}
        usage = ", ".join(measured.get(metric) or f"{amount} {metric}" for metric, amount in rule.usage.items())
        require = f", for {words(rule.require)}" if rule.require is not None else ""
        last = ", last" if rule.last else ""
        usages.setdefault(f"{rule.method} {rule.pattern}", []).append(f"{usage}{last}{require}")
    yield from ((f"{name}: {rule}", ("; ".join(usage), False)) for rule, usage in usages.items())
    if any(rule.last for rule in rules):
        yield f"{ORDER}{name}", (THEN.join(f"{rule.method} {rule.pattern}" for rule in rules), False)


def words(value: Any) -> str:
    """A value as a person reads it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and not isinstance(value, Moment):
        return f"{value:.15g}"
    if is_dataclass(value):
        return " + ".join(f"{name} {text}" for name, (text, _) in _flat(value, frozenset()) if not name.endswith(TYPE))
    if isinstance(value, tuple) and type(value) is tuple:
        return ", ".join(map(words, value))
    if isinstance(value, tuple) and type(value).__str__ is tuple.__str__:
        return " ".join(words(item) for item in value if item is not None)
    return str(value)
