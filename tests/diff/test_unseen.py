"""Nothing goes unseen: whatever single value of a configuration is another, the two differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any

from gateway.diff.compare import compare

from .conftest import Edited

NAMES = {"name"}  # said by the mapping that it is in
REFERENCES = {"services", "plans"}  # that lead nowhere when they are changed alone


def test_each_single_change_is_a_difference(edited: Edited) -> None:
    config, _ = edited()
    mutants = [*mutated(config, "config")]
    assert len(mutants) > 100
    assert [where for where, mutant in mutants if not compare(config, mutant)] == []


def mutated(value: Any, where: str) -> Iterator[tuple[str, Any]]:
    """The value with one thing in it changed, for each thing; and where that is."""
    if is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            inner = getattr(value, field.name)
            if field.name not in NAMES and not (field.name in REFERENCES and isinstance(inner, tuple)):
                for place, other in mutated(inner, f"{where}.{field.name}"):
                    yield place, replace(value, **{field.name: other})
    elif isinstance(value, Mapping):
        for key, item in value.items():
            for place, other in mutated(item, f"{where}[{key}]"):
                yield place, {**value, key: other}
    elif isinstance(value, tuple):
        for number, item in enumerate(value):
            for place, other in mutated(item, f"{where}[{number}]"):
                items = [*value[:number], other, *value[number + 1 :]]
                yield place, tuple(items) if type(value) is tuple else type(value)(*items)
    elif (other := another(value)) is not None:
        yield where, other


def another(value: Any) -> Any:
    """Of the same type; None for what has no other."""
    match value:
        case bool():
            return not value
        case Enum():
            return next(one for one in type(value) if one is not value)
        case Path():
            return value / "other"
        case str():
            return f"{value}x"
        case int() | float():
            return value + 1
    return None
