"""A configuration as a running gateway tells it over HTTP: files named by what is in them, without secrets."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass, replace
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from hashlib import sha256
from ipaddress import IPv4Network, IPv6Network
from math import isfinite
from pathlib import Path
from typing import Any, TypeVar

from gateway import destinations, model
from gateway.telemetry.logs import redact

T = TypeVar("T")

KIND, OF = "", "of"  # members of a value that JSON has no kind for
SECRET = "***"  # noqa: S105 - in place of one


def _nouns(module: Any) -> dict[str, Any]:
    """The dataclasses, named tuples and enumerations of a module: what may come of a text, and nothing else."""
    return {
        name: noun
        for name, noun in vars(module).items()
        if isinstance(noun, type) and (is_dataclass(noun) or issubclass(noun, Enum | tuple))
    }


NOUNS = _nouns(destinations) | _nouns(model)


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
    if isinstance(value, tuple):
        items = map(_portable, value)
        return tuple(items) if type(value) is tuple else type(value)(*items)
    return value


def _content(path: Path) -> Path:
    try:
        return Path(f"sha256:{sha256(path.read_bytes()).hexdigest()[:12]}")
    except OSError:
        return path


def declared(config: model.Config) -> bytes:
    """As JSON, for `undeclared`. Reads the files that it names; where an embedded store listens is nobody's plan."""
    if config.store.kind == "embedded":
        config = replace(config, store=replace(config.store, url=None))
    return json.dumps(_told(portable(config))).encode()


def undeclared(text: bytes) -> model.Config:
    """What `declared` told; raises ValueError for anything else, and for what another version has."""
    try:
        config = _heard(json.loads(text))
    except (LookupError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
        raise ValueError(f"it is not told as this version does: {error!r}") from None
    if not isinstance(config, model.Config):
        raise ValueError("it is no configuration")
    return config


def _told(value: Any) -> Any:
    if isinstance(value, Enum):
        return {KIND: type(value).__name__, OF: value.name}
    if isinstance(value, str):
        return redact(value)
    if type(value) is tuple:
        return [_told(item) for item in value]
    if value is None or isinstance(value, int) or (type(value) is float and isfinite(value)):
        return value
    if is_dataclass(value):
        return {KIND: type(value).__name__, **{f.name: _field(f.repr, getattr(value, f.name)) for f in fields(value)}}
    return dict(zip((KIND, OF), _tagged(value), strict=True))


def _field(shown: bool, value: Any) -> Any:
    return _told(value) if shown or value is None else SECRET


def _tagged(value: Any) -> tuple[str, Any]:
    """What JSON has no kind for."""
    if isinstance(value, Mapping):
        return "Mapping", [[_told(key), _told(item)] for key, item in value.items()]
    if isinstance(value, tuple):
        return type(value).__name__, [_told(item) for item in value]
    if isinstance(value, float):
        return type(value).__name__, repr(float(value))
    return "Path" if isinstance(value, Path) else type(value).__name__, str(value)


def _heard(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(map(_heard, value))
    if not isinstance(value, dict):
        return value
    kind = value.pop(KIND)
    return MAKERS[kind](value[OF]) if kind in MAKERS else _noun(NOUNS[kind], value)


def _noun(noun: Any, members: dict[str, Any]) -> Any:
    if issubclass(noun, Enum):
        return noun[members[OF]]
    if issubclass(noun, tuple):
        return noun(*map(_heard, members[OF]))
    return noun(**{name: _heard(member) for name, member in members.items()})


MAKERS: dict[str, Callable[[Any], Any]] = {
    "Mapping": lambda pairs: {_heard(key): _heard(item) for key, item in pairs},
    "Path": Path,
    "Moment": model.Moment,
    "float": float,
    "Decimal": Decimal,
    "Fraction": Fraction,
    "IPv4Network": IPv4Network,
    "IPv6Network": IPv6Network,
}
