"""Finds whole numbers in the events of a stream (text/event-stream, WHATWG HTML 9.2.6) as its bytes pass."""

from __future__ import annotations

import re

from gateway.proxy.json_amounts import JsonAmounts

DATA = b"data:"

_line_end = re.compile(rb"[\r\n]").search


class EventAmounts:
    """Each event's data is a JSON text by itself; of each path the last event counts that says it."""

    def __init__(self, amounts: JsonAmounts) -> None:
        self._amounts = amounts
        self._last: dict[str, int] = {}
        self._field = b""  # the beginning of a line, until it is clear whether that is data
        self._is_data: bool | None = None  # None: it is not clear yet
        self._after_return = False

    def found(self) -> dict[str, int]:
        """What the stream has said so far, by path."""
        return {**self._last, **self._amounts.found()}

    def feed(self, data: bytes) -> None:
        """The next bytes of it."""
        at = 1 if self._after_return and data[:1] == b"\n" else 0
        if data:
            self._after_return = data[-1:] == b"\r"
        while (ends := _line_end(data, at)) is not None:
            self._feed_line(data[at : ends.start()])
            self._end_line()
            at = ends.end() + (ends.group() == b"\r" and data[ends.end() : ends.end() + 1] == b"\n")
        self._feed_line(data[at:])

    def _feed_line(self, part: bytes) -> None:
        if self._is_data is None:
            self._field += part[: len(DATA)]
            if self._field.startswith(DATA):
                self._is_data = True
                self._amounts.feed((self._field + part[len(DATA) :])[len(DATA) :])
            elif not DATA.startswith(self._field):
                self._is_data = False
        elif self._is_data:
            self._amounts.feed(part)

    def _end_line(self) -> None:
        if self._is_data:
            self._amounts.feed(b"\n")
        elif self._is_data is None and not self._field:
            self._last.update(self._amounts.found())
            self._amounts.begin()
        self._field, self._is_data = b"", None
