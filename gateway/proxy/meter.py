"""What an answer says of its cost: in its head, or in its body as that streams by."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Protocol

from gateway.http.fields import WHITESPACE
from gateway.model import Measure, Place
from gateway.proxy.event_stream import EventAmounts
from gateway.proxy.json_amounts import JsonAmounts

JSON, HEADER = "json", "header"

_amount = re.compile(rb"0|[1-9][0-9]{0,14}").fullmatch
_is_json = re.compile(rb"application/(?:[a-z0-9.+-]*\+)?json|text/json").fullmatch


class Scanner(Protocol):
    """Looks for amounts in a body."""

    def feed(self, data: bytes) -> None: ...

    def found(self) -> Mapping[str, int]: ...


class Meter:
    """Of one request. `charged` is what it was charged in the end."""

    __slots__ = ("_amounts", "_coded", "_fields", "_paths", "_places", "_scanner", "_type", "_whole", "charged")

    def __init__(self, measures: Iterable[Measure]) -> None:
        self._places = [measure.place for measure in measures]
        self._paths = tuple(name for kind, name in self._places if kind == JSON)
        self.charged: Mapping[str, int] | None = None
        self.begin()

    def begin(self) -> None:
        """An answer's head is to come: the first, or another after an interim one."""
        self._fields: dict[bytes, list[bytes]] = {
            name.lower().encode(): [] for kind, name in self._places if kind == HEADER
        }
        self._type = self._coded = b""
        self._scanner: Scanner | None = None
        self._whole = False

    def field(self, name: bytes, value: bytes) -> None:
        """A field of the head; the name in lower case."""
        if (values := self._fields.get(name)) is not None:
            values.append(value.strip(WHITESPACE))
        elif name == b"content-type":
            self._type = value.partition(b";")[0].strip(WHITESPACE).lower()
        elif name == b"content-encoding":
            self._coded = value.strip(WHITESPACE).lower()

    def body(self, data: bytes) -> None:
        """A part of the body. A type that is not JSON's, or an encoding, says nothing."""
        if self._scanner is None and self._paths and self._coded in (b"", b"identity"):
            if self._type == b"text/event-stream":
                self._scanner = EventAmounts(JsonAmounts(self._paths))
            elif _is_json(self._type):
                self._scanner = JsonAmounts(self._paths)
            self._paths = () if self._scanner is None else self._paths
        if self._scanner is not None:
            self._scanner.feed(data)

    def end(self) -> None:
        """The answer is whole."""
        self._whole = True

    def read(self, measures: Iterable[Measure]) -> tuple[dict[Place, int], bool]:
        """What it said, and whether it said all. Of an answer that was cut short at least the reserve counts."""
        said = {} if self._scanner is None else {(JSON, path): units for path, units in self._scanner.found().items()}
        found: dict[Place, int] = {}
        missing = False
        for measure in measures:
            units = said.get(measure.place) if measure.kind == JSON else self._of_head(measure.name)
            if units is None:
                missing = True
            elif measure.kind == HEADER or self._whole:
                found[measure.place] = units
            else:
                found[measure.place] = max(units, measure.reserve)
        return found, missing or (not self._whole and bool(self._scanner))

    def _of_head(self, name: str) -> int | None:
        """Of a field that is there once, and a whole number."""
        values = self._fields[name.lower().encode()]
        return int(values[0]) if len(values) == 1 and _amount(values[0]) else None
