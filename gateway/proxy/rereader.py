"""The reading half of a client's connection that does not read twice.

A keep-alive client repeats its fields. What equals the last head, or one that the worker knows, byte for byte from the
second line on, means the same: it is not parsed again. Only whole requests without a body go this way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.errors import GatewayError
from gateway.http.fields import REQUEST_KINDS
from gateway.http.head import NO_BODY
from gateway.proxy.reader import MAX_REPEAT, RequestReader
from gateway.proxy.repeats import Repeat

if TYPE_CHECKING:
    from gateway.proxy.server import Server

LESSONS = 16  # heads learnt in vain, one after the other, before only each so many-th is


class Rereader(RequestReader):
    """Knows its last head by itself, others by the worker's `repeats`."""

    __slots__ = ("_lessons", "_repeat", "_seen", "_spoken")

    def __init__(self, server: Server) -> None:
        super().__init__(server)
        self._repeat: Repeat | None = None  # the last head, and whose it was in which lines
        self._spoken = self.forwarding, b""
        self._seen: Repeat | None = None  # the last that was found among the worker's
        self._lessons = 0

    def repeats(self, data: bytes) -> bool:
        repeat = self._repeat
        if repeat is not None and data.endswith(repeat.block):
            line = data[: -len(repeat.block)].split(b" ")
            forwarding, lines = self._spoken
        else:
            self._repeat = None
            if len(data) > MAX_REPEAT or not self._attentive() or self.kinds is not REQUEST_KINDS:
                return False
            first = data.find(b"\r\n")
            repeat = self.server.repeats.get(data[first:])
            if repeat is None:
                return False
            line, forwarding = data[:first].split(b" "), self.forwarding
            lines = repeat.joined + forwarding.lines(repeat.hosts[0])
            if repeat is self._seen:  # twice in a row
                self._repeat, self._spoken = repeat, (forwarding, lines)
            self._seen = repeat
        if len(line) != 3 or line[2] != b"HTTP/1.1" or line[0] not in NO_BODY or not line[1].startswith(b"/"):
            self._repeat = None
            return False
        if len(line[1]) > self.server.limits.target:
            return False
        exchange = self.new_exchange()
        try:
            exchange.repeat(repeat, forwarding, lines, line[0], line[1])
        except GatewayError:  # refused in the words that it would be refused in without this way
            self._repeat = None
            return False
        self._lessons = 0
        self._stopped = self.server.draining
        self._serve(exchange)
        return True

    def learn(self, data: bytes) -> None:
        """Remembers the head that `data` is, if it is one whole head and nothing else."""
        if self._attentive():
            self._learn(data)
        self._lessons += 1

    def _learn(self, data: bytes) -> None:
        exchange = self.latest
        first = data.find(b"\r\n")
        if exchange is None or first < 1 or data.find(b"\r\n\r\n", first) != len(data) - 4:
            return
        if exchange.is_repeatable():
            self._repeat = repeat = exchange.as_repeat(data[first:])
            forwarding = exchange.forwarding
            self._spoken = forwarding, repeat.joined + forwarding.lines(exchange.host_field)
            if self.kinds is REQUEST_KINDS:
                self.server.repeats.put(repeat)

    def _attentive(self) -> bool:
        return self._lessons < LESSONS or self._lessons % LESSONS == 0
