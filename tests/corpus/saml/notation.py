"""How the corpus is written down: a message, what must come of it, and under which circumstances."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, NamedTuple

from lxml import etree

from .builder import Answer

Element = etree._Element
NOTHING: Mapping[str, Any] = MappingProxyType({})


class Case(NamedTuple):
    """`code` is why it is refused. `how` are the circumstances: arguments of `builder.taken`."""

    name: str
    code: str
    answer: Answer
    how: Mapping[str, Any] = NOTHING


def attack(name: str, code: str, answer: Answer | None = None, /, **pieces: Any) -> Case:
    """A valid response but for these pieces of it."""
    return Case(name, code, replace(answer or Answer(), **pieces))


def changed(name: str, code: str, before: str, after: str, **pieces: Any) -> Case:
    """A valid response in which text is replaced after it was signed."""

    def text(octets: bytes) -> bytes:
        assert before.encode() in octets, before
        return octets.replace(before.encode(), after.encode())

    return Case(name, code, Answer(text=text, **pieces))


def rebuilt(name: str, code: str, after: Callable[[Element], Any], **pieces: Any) -> Case:
    """A valid response whose tree is changed after it was signed."""
    return Case(name, code, Answer(after=after, **pieces))
