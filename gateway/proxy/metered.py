"""What a parser calls in the place of an answer's reader, where a meter listens."""

from __future__ import annotations

from typing import Protocol

from gateway.proxy.meter import Meter


class Reader(Protocol):
    """The callbacks of httptools."""

    def on_message_begin(self) -> None: ...

    def on_header(self, name: bytes, value: bytes) -> None: ...

    def on_headers_complete(self) -> None: ...

    def on_body(self, data: bytes) -> None: ...

    def on_message_complete(self) -> None: ...


class Metered:
    """Tells the meter first, then the reader, whose errors are as ever."""

    def __init__(self, reader: Reader, meter: Meter) -> None:
        self._reader = reader
        self._meter = meter
        self._in_head = True

    def on_message_begin(self) -> None:
        self._reader.on_message_begin()
        self._meter.begin()
        self._in_head = True

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:  # not a trailer
            self._meter.field(name.lower(), value)
        self._reader.on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._reader.on_headers_complete()

    def on_body(self, data: bytes) -> None:
        self._reader.on_body(data)
        self._meter.body(data)

    def on_message_complete(self) -> None:
        self._reader.on_message_complete()
        self._meter.end()
