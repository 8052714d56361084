"""Patterns of mapping rules and of `allow`, in 3scale's semantics.

`/orders`             whatever starts with these characters: /orders, /orders/7 and also /orders-old, as in 3scale
`/orders/`            what is below /orders only
`/orders$`            exactly /orders; a `$` elsewhere is itself
`/orders/{id}/lines`  `{id}` is one path segment or a part of one, never empty
`/orders?sort=asc`    the parameter is there with this value; `?sort={any}` with any; others and the order are free

Everything else is literal, `.` too; `//` is `/`. Percent-encoded and plain spellings of a character are the same.
A pattern that no request could match is a ValueError that says what to write.
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import parse_qs, parse_qsl, quote, unquote, unquote_to_bytes

from gateway.errors import BadRequest
from gateway.http.path import normalise

ANY = "ANY"
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", ANY)

_split = re.compile(r"\{([^{}/?]+)\}").split
_PRINTABLE = string.printable  # stays as written; what is not ASCII is encoded
_variable = re.compile(r"\{[^{}]+\}").fullmatch

Parameters = dict[str, list[str]]


class Condition(NamedTuple):
    """A query parameter that must be there, with this value (None: with any)."""

    name: str
    value: str | None


class Compiled(NamedTuple):
    """A pattern over decoded paths. `match` is asked only for paths that start with `head`; None: they all match."""

    head: bytes
    match: Callable[[bytes], object] | None
    conditions: tuple[Condition, ...]


def parse_method(method: str) -> str:
    """A method of a rule, as it is; ValueError for an unknown one. HEAD is not GET: write both, or ANY (3scale)."""
    if method not in METHODS:
        raise ValueError(f"{method!r} is not a method ({' '.join(METHODS)})")
    return method


def parse(pattern: str) -> Compiled:
    """Compile a pattern; ValueError says what is wrong with it."""
    path, mark, query = pattern.partition("?")
    conditions = _conditions(query) if mark else ()
    exact = path.endswith("$")
    literals = _literals(path.removesuffix("$"))
    if len(literals) > 1:
        return Compiled(literals[0], re.compile(_regex(literals, exact)).match, conditions)
    return Compiled(literals[0], literals[0].__eq__ if exact else None, conditions)


def parse_prefix(path: str) -> bytes:
    """A service's path, normalised and without a slash at its end (the root is empty); ValueError."""
    if any(mark in path for mark in "?{}"):
        raise ValueError("a service's path has no query and no variables")
    _check(path, path)
    return normalise(quote(path, safe=_PRINTABLE).encode())[0].rstrip(b"/")


def parameters(query: bytes) -> Parameters:
    """The parameters of a query, decoded; repeated ones keep all their values."""
    return parse_qs(query.decode("latin-1"), keep_blank_values=True, errors="surrogateescape")


def hold(conditions: tuple[Condition, ...], given: Parameters, *, every: bool) -> bool:
    """Whether the parameters meet all conditions. Of a repeated one a single equal value is enough, or `every` one."""
    quantifier = all if every else any
    for name, value in conditions:
        values = given.get(name)
        if values is None or (value is not None and not quantifier(each == value for each in values)):
            return False
    return True


def _literals(path: str) -> list[bytes]:
    """What stands around the variables, decoded: n variables have n + 1 neighbours."""
    parts = _split(path)
    literals = parts[::2]
    if any(brace in literal for literal in literals for brace in "{}"):
        raise ValueError("a variable is written '{name}', within one path segment")
    if "" in literals[1:-1]:
        raise ValueError("two variables need something between them")
    _check(path, "x".join(literals))
    collapsed = re.sub(r"//+", "/", "\0".join(literals))
    return [unquote_to_bytes(literal) for literal in collapsed.split("\0")]


def _check(path: str, sample: str) -> None:
    """Refuse what no normalised path looks like. `sample` is the path with its variables filled in."""
    if not path.startswith("/"):
        raise ValueError("a path starts with '/'")
    if "*" in sample:
        raise ValueError("'*' is not a wildcard; leave the end off, or write '{name}' for a segment (%2A for itself)")
    decoded = unquote(sample)
    if ";" in decoded:
        raise ValueError("path parameters (';…') take no part in matching; leave them out")
    if not {".", ".."}.isdisjoint(decoded.split("/")):
        raise ValueError("'.' and '..' are resolved before matching; write the path that results")
    try:
        normalise(quote(sample, safe=_PRINTABLE).encode())
    except BadRequest as error:
        raise ValueError(f"no request can match: {error.detail}") from None


def _regex(literals: list[bytes], exact: bool) -> bytes:
    """A variable and the literal after it are atomic: its first place is as good as any, so time stays linear."""
    first, *middle, last = map(re.escape, literals)
    atoms = b"".join(b"(?>[^/]+?%b)" % literal for literal in middle)
    return b"%b%b[^/]+%b%b" % (first, atoms, b"?" + last if last else b"", rb"\Z" if exact else b"")


def _conditions(query: str) -> tuple[Condition, ...]:
    if query.endswith("$"):
        raise ValueError("'$' belongs to the end of the path, before the '?'")
    fields = query.split("&")
    if not all(re.match("[^=]+=", field) for field in fields):
        raise ValueError("a query is written 'name=value' or 'name={any}', joined by '&'")
    pairs = parse_qsl(query, keep_blank_values=True, errors="surrogateescape")
    if len({name for name, _ in pairs}) != len(fields):
        raise ValueError("the query names a parameter twice")
    return tuple(_condition(name, value) for name, value in pairs)


def _condition(name: str, value: str) -> Condition:
    if _variable(value):
        return Condition(name, None)
    if "{" in value or "}" in value:
        raise ValueError("a variable stands for a parameter's whole value: 'name={any}'")
    return Condition(name, value)
