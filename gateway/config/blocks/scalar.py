"""How text is read: what each kind of value says of itself, for messages and for editors."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from gateway.config.problems import Complaint, instead, kind

ELSEWHERE = r"^file:|\$\{"  # a value from another file or a variable, which an editor cannot check

Json = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Scalar:
    """Text of one kind. `parse` raises ValueError or a Complaint that says more.

    `what` is what would be right. `later` are words, or keys of a mapping, that are known and not supported.
    A `secret` value appears in no message.
    """

    what: str
    parse: Callable[[str], Any]
    schema: Json = field(default_factory=dict)
    later: frozenset[str] = frozenset()
    secret: bool = False

    def read(self, value: object) -> Any:
        for word in value if isinstance(value, dict) else (value,):
            if isinstance(word, str) and word in self.later:
                raise Complaint(f"is not supported yet ({self.what})", shown=word)
        if not isinstance(value, str) or not value:
            raise Complaint(f"is {kind(value)}, would be {self.what}")
        try:
            return self.parse(value)
        except Complaint:
            raise
        except ValueError:
            raise Complaint(f"is not {self.what}", shown=None if self.secret else value) from None

    def __get_pydantic_core_schema__(self, _source: object, _handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self.read)

    def __get_pydantic_json_schema__(self, _schema: CoreSchema, _handler: GetJsonSchemaHandler) -> Json:
        if not self.schema:
            return {"type": ["string", "number"]}
        return {"anyOf": [self.schema, {"type": "string", "pattern": ELSEWHERE}]}


def matching(pattern: str, make: Callable[[str], Any] = str) -> Callable[[str], Any]:
    """A parser of what matches `pattern` as a whole."""
    whole = re.compile(pattern, re.ASCII).fullmatch

    def parse(text: str) -> Any:
        if whole(text) is None:
            raise ValueError(text)
        return make(text)

    return parse


def one_of(known: Iterable[str], later: Iterable[str] = (), make: Callable[[str], Any] = str) -> Scalar:
    """One of a few words."""
    words = tuple(map(str, known))

    def parse(text: str) -> Any:
        if text not in words:
            raise Complaint(f"is not known here{instead(text, words)}", shown=text)
        return make(text)

    return Scalar(" ".join(words), parse, {"enum": list(words)}, frozenset(later))


def number(least: int, most: int, what: str) -> Scalar:
    """A whole number, in digits alone."""
    digits = matching(r"0|[1-9][0-9]{0,15}", int)

    def parse(text: str) -> int:
        value: int = digits(text)
        if not least <= value <= most:
            raise ValueError(text)
        return value

    return Scalar(what, parse, {"type": "integer", "minimum": least, "maximum": most})
