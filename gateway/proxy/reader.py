"""The reading half of a client's connection: bytes → exchanges, strictly, in order, bounded.

A request is parsed into an Exchange of its own. What cannot be parsed becomes an exchange with an `error`, answered
in its turn, and nothing after it is read.
"""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections import deque
from typing import TYPE_CHECKING

import httptools

from gateway.errors import BadRequest, FieldsTooLarge, GatewayError, TargetTooLong, forget_way
from gateway.http.fields import REQUEST_KINDS, WHITESPACE, Kind, Kinds
from gateway.http.parser import RequestParser, fault_of
from gateway.proxy.exchange import Exchange
from gateway.proxy.forwarding import Forwarding
from gateway.proxy.wire import Wire

if TYPE_CHECKING:
    from gateway.proxy.server import Server

MAX_FRAMING = 32 * 1024  # bytes of chunks' sizes, extensions and trailers between two bytes of a body
MAX_PIPELINED = 1000  # heads that one read may bring; more is no client
MAX_REPEAT = 4096  # bytes of a head that is remembered for its repetition


class RequestReader(Wire, ABC):
    """`incoming` is being parsed, `current` is being served, `queue` holds pipelined requests between them."""

    __slots__ = (
        "_excess",
        "_fed",
        "_overhead",
        "_parser",
        "_stopped",
        "active",
        "current",
        "forwarding",
        "head_since",
        "incoming",
        "kinds",
        "latest",
        "peer",
        "queue",
        "server",
        "transport",
        "write_paused",
    )
    __deletable__ = ("_parser",)  # for the compiler

    def __init__(self, server: Server) -> None:
        self.server = server
        self.transport: asyncio.Transport | None = None
        self.peer = ""
        self.forwarding = Forwarding("")
        self.kinds: Kinds = REQUEST_KINDS  # others where a trusted proxy speaks for its clients
        self.incoming: Exchange | None = None
        self.current: Exchange | None = None
        self.queue: deque[Exchange] = deque()
        self.active = time.monotonic()
        self.write_paused = False  # the client takes no more, so no more is begun
        self.head_since = 0.0  # monotonic; 0: no head is being read
        self._overhead = 0  # bytes read since the last head's end, or a body's last byte
        self._fed = 0  # the size of the last read
        self._parser = RequestParser(self)
        self._stopped = False  # nothing more is parsed
        self._excess = False  # though more has come
        self.latest: Exchange | None = None  # whose head was parsed last

    # --- what is not read twice

    @abstractmethod
    def repeats(self, data: bytes) -> bool:
        """Serves what equals a head that was read before; False: it must be read."""

    @abstractmethod
    def learn(self, data: bytes) -> None:
        """`data` held whole requests; `latest` is the last one's head, None where none could be read."""

    # --- what the serving half does

    @abstractmethod
    def new_exchange(self) -> Exchange:
        """An exchange of this connection."""

    @abstractmethod
    def believe(self, exchange: Exchange) -> None:
        """Reads from whom a trusted proxy has it."""

    @abstractmethod
    def begin(self, exchange: Exchange) -> None:
        """Serves a request whose turn it is."""

    @abstractmethod
    def advance(self) -> None:
        """Serves what is queued, as far as it goes."""

    @abstractmethod
    def break_off(self, exchange: Exchange, error: GatewayError) -> None:
        """The body of the request in service cannot be read to its end."""

    @abstractmethod
    def pass_on(self, exchange: Exchange, data: bytes) -> None:
        """A part of the body, framed as it goes upstream."""

    @abstractmethod
    def regulate(self) -> None:
        """Pauses or resumes reading."""

    # --- bytes

    def data_received(self, data: bytes) -> None:
        before, self.active = self.active, time.monotonic()
        if self._stopped:
            self._excess = True
            return
        if self.incoming is None and self.repeats(data):
            return
        alone = self.incoming is None
        self.latest = None  # what cannot be read must not be taken for what was read before
        self._fed = len(data)
        self._overhead += len(data)
        self._parse(data)
        if alone and self.incoming is None:
            if self._overhead:  # empty lines, which are no request and no sign of life (RFC 9112 2.2)
                self.active = before
            elif len(data) <= MAX_REPEAT:
                self.learn(data)

    def _parse(self, data: bytes) -> None:
        start = 0
        try:
            while start < len(data) and not self._stopped:
                start = self._parser.feed(data, start)
            self._excess = start < len(data)
            if self._overhead:
                self._check_overhead()
        except httptools.HttpParserError as error:
            self.fault(fault_of(error))
        except GatewayError as error:
            self.fault(error)

    def _check_overhead(self) -> None:
        most = self.server.limits.head if self.head_since or self.incoming is None else MAX_FRAMING
        if self._overhead > most:
            self._overhead = 0
            if self.head_since:
                raise FieldsTooLarge(f"the head is larger than {most} bytes")
            raise BadRequest(f"more than {most} bytes are neither a head nor a body")

    def fault(self, error: GatewayError) -> None:
        """What cannot be read is answered in its turn, and is the last thing read."""
        self._stopped = True
        self.head_since = 0.0
        exchange, self.incoming = self.incoming, None
        if exchange is None:
            exchange = self.new_exchange()
        exchange.keep = False
        if exchange is self.current:
            self.break_off(exchange, error)
        elif exchange.discard:  # it has been answered
            self.close()
        else:
            if exchange not in self.queue:
                self.queue.append(exchange)
            forget_way(error)
            exchange.error = error
            self.advance()

    def release(self) -> None:
        """The end of the connection: nothing of it waits for the garbage collector, which looks rarely."""
        self.incoming = self.latest = None
        del self._parser

    def close(self) -> None:
        if self.transport is not None:
            self.transport.close()

    # --- parser callbacks, in their order

    def on_message_begin(self) -> None:
        if len(self.queue) >= MAX_PIPELINED:
            raise BadRequest("too many pipelined requests")
        self.incoming = self.new_exchange()
        self.head_since = self.active

    def on_url(self, url: bytes) -> None:
        exchange = self.incoming
        assert exchange is not None
        exchange.target += url
        if len(exchange.target) > self.server.limits.target:
            raise TargetTooLong(f"the target is longer than {self.server.limits.target} bytes")

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.head_since:
            return  # a trailer: nothing upstream asked for it
        exchange = self.incoming
        assert exchange is not None
        name, value = name.lower(), value.rstrip(WHITESPACE)  # the parser took it off the front
        kind = self.kinds[name]
        if kind is Kind.PASS:
            exchange.fields += (name, b": ", value, b"\r\n")
        elif kind is Kind.HOST:
            exchange.hosts.append(value)
        elif kind is Kind.AUTHORIZATION:
            exchange.authorization.append(value)
            exchange.fields += (name, b": ", value, b"\r\n")
        elif kind is not Kind.DROP:
            exchange.special.append((kind, value))

    def on_headers_complete(self) -> None:
        exchange = self.incoming
        assert exchange is not None
        self.head_since = 0.0
        limits = self.server.limits
        if (self._overhead > limits.head or self._fed > limits.head) and exchange.head_size() > limits.head:
            raise FieldsTooLarge(f"the head is larger than {limits.head} bytes")
        self._overhead = 0
        if len(exchange.fields) // 4 + len(exchange.special) + len(exchange.hosts) > limits.fields:
            raise FieldsTooLarge(f"more than {limits.fields} header fields")
        exchange.read_head(*self._parser.start_line())
        if self.kinds is not REQUEST_KINDS:
            self.believe(exchange)
        self._parser.framed(exchange.length, chunked=exchange.chunked)
        self.latest = exchange
        self._serve(exchange)

    def _serve(self, exchange: Exchange) -> None:
        if self.current is None and not self.queue and not self.write_paused:
            self.begin(exchange)
        else:
            self.queue.append(exchange)
            self.regulate()

    def on_body(self, data: bytes) -> None:
        exchange = self.incoming
        assert exchange is not None
        exchange.bytes_in += len(data)
        self._overhead = 0
        if not exchange.discard:
            if exchange.chunked:
                exchange.check_size()
                data = b"%x\r\n%b\r\n" % (len(data), data)
            self.pass_on(exchange, data)

    def on_message_complete(self) -> None:
        if not self._parser.completed():
            return
        exchange, self.incoming = self.incoming, None
        assert exchange is not None
        exchange.complete = True
        self._overhead = 0
        if exchange.chunked and not exchange.discard:
            self.pass_on(exchange, b"0\r\n\r\n")
        if self.server.draining or not exchange.keep:
            self._stopped = True  # nothing after a last request is looked at
