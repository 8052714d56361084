"""Values of the model as flat text, to be compared and shown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

from gateway.diff.difference import Change
from gateway.model import Rule

T = TypeVar("T")

Flat = dict[str, tuple[str, bool]]  # where → text, and whether it is a secret


def portable(value: T) -> T:
    """The same with each file that is named by what is in it, so that it may lie elsewhere."""
    return _portable(value)  # type: ignore[no-any-return]


def _portable(value: Any) -> Any:
    if isinstance(value, Path):
        return _content(value)
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{f.name: _portable(getattr(value, f.name)) for f in fields(value)})
    if isinstance(value, Mapping):
        return {key: _portable(item) for key, item in value.items()}
    return value


def _content(path: Path) -> Path:
    try:
        return Path(f"sha256:{sha256(path.read_bytes()).hexdigest()[:12]}")
    except OSError:
        return path


def changes(before: object, after: object, *, without: frozenset[str] = frozenset()) -> tuple[Change, ...]:
    """Between two values of one class; None: it is not there. `without`: fields that are not looked at."""
    old, new = dict(_flat(before, without)), dict(_flat(after, without))
    return tuple(
        Change(name, *map(_shown, (old.get(name), new.get(name))))
        for name in dict.fromkeys((*old, *new))
        if old.get(name) != new.get(name)
    )


def _shown(text: tuple[str, bool] | None) -> str | None:
    return None if text is None or text[1] else text[0]


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
        for inner, text in _flat(value, frozenset()):
            yield f"{name}.{inner}", text
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _named(f"{name}.{key}", item, secret)
    elif value is not None and value != ():
        yield name, (words(value), secret)


def _rules(name: str, rules: tuple[Rule, ...]) -> Iterator[tuple[str, tuple[str, bool]]]:
    """Each by its pattern; the order counts where one ends the search."""
    for rule in rules:
        usage = ", ".join(f"{amount} {metric}" for metric, amount in rule.usage.items())
        yield f"{name}: {rule.method} {rule.pattern}", (f"{usage}, last" if rule.last else usage, False)
    if any(rule.last for rule in rules):
        yield f"order of {name}", (", ".join(f"{rule.method} {rule.pattern}" for rule in rules), False)


def words(value: Any) -> str:
    """A value as a person reads it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:g}"
    if is_dataclass(value):
        return " + ".join(f"{name} {text}" for name, (text, _) in _flat(value, frozenset()))
    if isinstance(value, tuple) and type(value) is tuple:
        return ", ".join(map(words, value))
    if isinstance(value, tuple) and type(value).__str__ is tuple.__str__:
        return " ".join(words(item) for item in value if item is not None)
    return str(value)
