"""The reading half of an upstream's connection: an answer's bytes → the client's bytes, rebuilt and framed anew.

An answer that breaks HTTP raises AnswerError; nothing of it is trusted after that.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

import httptools

from gateway.http.answers import STATUS_LINES, date
from gateway.http.cookies import is_own
from gateway.http.fields import RESPONSE_KINDS, WHITESPACE, Fields, Kind, listed, without
from gateway.proxy.metered import Metered
from gateway.proxy.wire import Wire

if TYPE_CHECKING:
    from gateway.proxy.exchange import Exchange
    from gateway.proxy.meter import Meter

MAX_HEAD = 64 * 1024  # bytes of an answer's head
MAX_REPEAT = 4096  # bytes of a head that is remembered for its repetition
LESSONS = 16  # heads learnt in vain, one after the other, before it is given up
MAX_INTERIM = 8  # 1xx answers before the real one


class AnswerError(Exception):
    """The upstream's answer breaks HTTP."""


class Repeat(NamedTuple):
    """A head as it came, and what it means: status, the client's lines, and the length of the body after it."""

    head: bytes
    status: int
    lines: bytes
    size: int  # of the whole answer


class AnswerReader(Wire):
    """Collects in `_out` what the client gets; `_done` once the answer's end was seen."""

    __slots__ = (
        "_aside",
        "_barren",
        "_body_until_close",
        "_chunked",
        "_dated",
        "_done",
        "_fields",
        "_head_bytes",
        "_in_head",
        "_interim",
        "_keep",
        "_length",
        "_lessons",
        "_listed",
        "_out",
        "_parser",
        "_repeat",
        "_spent",
        "exchange",
    )
    __deletable__ = ("_parser",)  # for the compiler

    def __init__(self) -> None:
        self.exchange: Exchange | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._out: list[bytes] = []
        self._fields: Fields = []
        self._repeat: Repeat | None = None
        self._lessons = 0
        self._aside: tuple[Repeat | None, int] | None = None  # what was learnt, while a meter listens
        self._reset()

    def _reset(self) -> None:
        self._chunked = self._dated = self._done = self._spent = self._body_until_close = False
        self._keep = True
        self._in_head = True
        self._head_bytes = self._interim = 0
        self._barren = 0  # bytes since the head, or the last of the body
        self._length: bytes | None = None
        self._listed: set[bytes] | None = None

    # A service repeats its heads. What equals the last one byte for byte, with its whole body and nothing after it,
    # means the same: it is not parsed again.

    def _repeats(self, data: bytes, exchange: Exchange) -> bool:
        repeat = self._repeat
        if repeat is None:
            return False
        head, status, lines, size = repeat
        if len(data) != size or not data.startswith(head):
            return False
        client = exchange.client
        assert client is not None
        self._lessons = 0
        exchange.status = status
        self._out += (lines, client.answer_fields(exchange), data[len(head) :])
        return True

    def _learn(self, data: bytes) -> None:
        """Remembers the head of an answer that came whole in `data`; `_out` holds the client's bytes of it."""
        end = data.find(b"\r\n\r\n") + 4
        exchange = self.exchange
        assert exchange is not None
        simple = self._keep and self._dated and self._length is not None and not self._interim
        if not simple or exchange.status in (204, 304) or end > MAX_REPEAT or len(data) != end + int(self._length or 0):
            return
        self._lessons += 1
        lines = (STATUS_LINES[exchange.status], *self._fields, b"content-length: ", self._length or b"", b"\r\n")
        self._repeat = Repeat(data[:end], exchange.status, b"".join(lines), len(data))

    def _measure(self, meter: Meter) -> None:
        """A meter listens to the next answer, which is parsed whole by a parser of its own; nothing is learnt of it."""
        self._aside = self._repeat, self._lessons
        self._repeat, self._lessons = None, LESSONS
        self._spent = True
        meter.begin()
        self._parser = httptools.HttpResponseParser(Metered(self, meter))

    def _renew(self) -> None:
        """The parser would wait for the body that HEAD's answer announces, or was one with a meter."""
        self._parser = httptools.HttpResponseParser(self)
        if self._aside is not None:
            (self._repeat, self._lessons), self._aside = self._aside, None

    # --- parser callbacks

    def on_message_begin(self) -> None:
        if self._done:
            raise AnswerError("more came after its end")
        self._fields = []
        self._length = None
        self._listed = None
        self._chunked = self._dated = False
        self._in_head = True

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._in_head:
            return  # a trailer: the next message must not see it
        name, value = name.lower(), value.rstrip(WHITESPACE)  # the parser took it off the front
        kind = RESPONSE_KINDS[name]
        if kind is Kind.PASS:
            self._fields += (name, b": ", value, b"\r\n")
        elif kind is Kind.DATE:
            self._dated = True
            self._fields += (name, b": ", value, b"\r\n")
        elif kind is Kind.SET_COOKIE:
            if not is_own(value):
                self._fields += (name, b": ", value, b"\r\n")
        elif kind is Kind.TRANSFER_ENCODING:
            self._read_coding(value)
        elif kind is Kind.CONTENT_LENGTH:
            if self._length is not None or self._chunked:
                raise AnswerError("its length is ambiguous")
            self._length = b"%d" % int(value)
        elif kind is Kind.CONNECTION and value.lower() not in (b"keep-alive", b"close"):
            self._listed = (self._listed or set()) | listed(value)

    def _read_coding(self, value: bytes) -> None:
        if self._chunked or self._length is not None or value.lower() != b"chunked":
            raise AnswerError("its Transfer-Encoding is not exactly 'chunked'")
        self._chunked = True

    def on_headers_complete(self) -> None:
        exchange = self.exchange
        assert exchange is not None and exchange.client is not None
        parser = self._parser
        status = parser.get_status_code()
        version = parser.get_http_version()
        if version not in ("1.1", "1.0") or status == 101 or not 100 <= status <= 599:
            raise AnswerError(f"status {status} in HTTP/{version} was not asked for")
        if self._chunked and version == "1.0":
            raise AnswerError("chunked in HTTP/1.0")
        if self._head_bytes > MAX_HEAD and sum(map(len, self._fields)) > MAX_HEAD:
            raise AnswerError("its head is too large")
        if self._listed is not None:
            self._fields = without(self._fields, self._listed)
        if status < 200:
            self._forward_interim(exchange, status)
            return
        self._in_head = False
        self._answer(exchange, status, parser.should_keep_alive())

    def _forward_interim(self, exchange: Exchange, status: int) -> None:
        """A 1xx passes (RFC 9110 15.2), except 100, which the gateway itself has answered."""
        self._interim += 1
        if self._chunked or self._length is not None:  # RFC 9110 8.6, RFC 9112 6.1
            raise AnswerError("an interim answer that announces a body")
        if self._interim > MAX_INTERIM:
            raise AnswerError("too many interim answers")
        if status != 100 and exchange.version == "1.1":
            self._out += (STATUS_LINES[status], *self._fields, b"\r\n")

    def _answer(self, exchange: Exchange, status: int, keep: bool) -> None:
        client = exchange.client
        assert client is not None
        exchange.status = status
        out = self._out
        out.append(STATUS_LINES[status])
        out += self._fields
        if exchange.method == b"HEAD" or status in (204, 304):
            self._keep = keep and not self._announces_a_body(status)
            self._chunked = False
            if self._length is not None and status != 204:
                out += (b"content-length: ", self._length, b"\r\n")
        else:
            self._keep = keep and (self._chunked or self._length is not None)
            out += self._framing(exchange)
        if not self._dated:  # RFC 9110 6.6.1
            out.append(b"date: %b\r\n" % date(time.time()))
        out.append(client.answer_fields(exchange))
        if exchange.method == b"HEAD":
            self._done = self._spent = True

    def _announces_a_body(self, status: int) -> bool:
        """Whether a 204 or 304 says what it must not (RFC 9110 8.6, RFC 9112 6.1): who knows what it sends."""
        return (self._chunked and status in (204, 304)) or (status == 204 and self._length not in (None, b"0"))

    def _framing(self, exchange: Exchange) -> Fields:
        if self._length is not None:
            return [b"content-length: ", self._length, b"\r\n"]
        self._body_until_close = not self._chunked
        self._chunked = exchange.version == "1.1"
        if self._chunked:
            return [b"transfer-encoding: chunked\r\n"]
        exchange.keep = False  # HTTP/1.0 reads until the connection closes
        return []

    def on_body(self, data: bytes) -> None:
        if self._done:
            raise AnswerError("it has a body that it must not have")
        self._barren = 0
        if self._chunked:
            self._out += (b"%x\r\n" % len(data), data, b"\r\n")
        else:
            self._out.append(data)

    def on_message_complete(self) -> None:
        if self._in_head or self._done:
            return  # an interim answer, or HEAD's
        if self._chunked:
            self._out.append(b"0\r\n\r\n")
        self._done = True
