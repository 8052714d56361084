"""What differs between two configurations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from gateway.model import Config

FIXED: Mapping[str, Callable[[Config], object]] = {  # a process has them from its start
    "listen": lambda config: [listener.address for listener in config.listen],
    "admin": lambda config: config.admin,
    "workers": lambda config: config.workers,
    "data": lambda config: config.data,
    "store": lambda config: config.store,
}


def fixed_changes(old: Config, new: Config) -> list[str]:
    """The keys that have changed and cannot without a restart."""
    return [f"gateway.{name}" for name, part in FIXED.items() if part(old) != part(new)]


def fingerprint(config: Config) -> bytes:
    """Equal for configurations that mean the same, the contents of the files that they name included."""
    return sha256(repr(_plain(config)).encode()).digest()


def _plain(value: Any) -> Any:
    """The value as tuples, whose `repr` says everything; the order in mappings counts, as it does for `match`."""
    if is_dataclass(value):
        return type(value).__name__, *(_plain(getattr(value, field.name)) for field in fields(value))
    if isinstance(value, Mapping):
        return tuple((key, _plain(item)) for key, item in value.items())
    if isinstance(value, tuple):
        return tuple(map(_plain, value))
    if isinstance(value, Path):
        return str(value), _content(value)
    return value


def _content(path: Path) -> str:
    """A digest; empty where there is nothing to read, such as a folder."""
    try:
        return sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""
