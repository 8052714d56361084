"""llhttp, held to RFC 9112: one request at a time, its line judged as it came, and no body lost to an upgrade.

llhttp does not tell where a message ended; it takes request lines that are none (several spaces, a bare CR or LF
before the method, RTSP, Icecast); and it ends a message at its head where the head asks for an upgrade. So it is
fed in pieces, cut where a message may end: each request starts a piece.
"""

from __future__ import annotations

import logging
import re
from types import SimpleNamespace
from typing import Any

import httptools

from gateway.errors import BadRequest, GatewayError, VersionNotSupported

log = logging.getLogger("gateway.client")

INVALID = "the request is not valid HTTP/1.1"
END = b"\r\n\r\n"  # ends every head, and every chunked body: its last chunk or trailer, then an empty line

_line = re.compile(rb"[!-~]+ [!-~]+ HTTP/1\.[01]\r\n").match  # RFC 9112 3
_other = re.compile(rb"[!-~]+ [!-~]+ HTTP/[0-9]\.[0-9]\r\n").match
_other_begun = re.compile(rb"[!-~]+ [!-~]+ HTTP/(?:[0-9](?:\.(?:[0-9]\r?)?)?)?").fullmatch
_unfinished = re.compile(rb"[^\r\n]*\r?").fullmatch


class RequestParser:
    """`callbacks` are httptools'; they call `framed` when a head is complete, `completed` when a message seems so."""

    __slots__ = ("_callbacks", "_chunked", "_in_head", "_invalid", "_left", "_line", "_llhttp", "_tail", "_upgraded")

    def __init__(self, callbacks: Any) -> None:
        self._callbacks = callbacks
        self._restart()

    def _restart(self) -> None:
        self._llhttp = httptools.HttpRequestParser(self._callbacks)
        self._upgraded = False
        self._next()

    def _next(self) -> None:
        """What comes is a request's start."""
        self._in_head = True
        self._invalid = False  # llhttp has seen enough of the line, which is yet to be judged
        self._line: bytes | None = b""  # of the request line, until it is judged
        self._tail = b""  # the last bytes before a piece: an end may straddle two reads
        self._left: int | None = None  # bytes of the body that are yet to come, where that is known
        self._chunked = False

    def feed(self, data: bytes, start: int) -> int:
        """Parses a piece of `data` from `start` on; returns its end. Raises BadRequest and httptools' errors."""
        if self._left is not None:
            end = start + self._left
            piece = data[start:end]
            self._left -= len(piece)
        else:
            end = self._end(data, start)
            piece = data[start:end]
        if self._line is not None:
            self._judge(piece)
        if self._invalid:
            if self._line is None:  # the version was sound, the method was not
                raise BadRequest(INVALID)
            return end
        try:
            self._llhttp.feed_data(piece)
        except httptools.HttpParserUpgrade:  # no protocol is switched (RFC 9110 7.8)
            if not self._in_head:
                self._resume()
        except httptools.HttpParserError:
            if self._line is None or not _other_begun(self._line):
                raise
            self._invalid = True
        return end

    def start_line(self) -> tuple[bytes, str, bool]:
        """Method, version, and whether the connection is to be kept; of the head that is complete."""
        parser = self._llhttp
        return parser.get_method(), parser.get_http_version(), parser.should_keep_alive()

    def framed(self, length: int | None, *, chunked: bool) -> None:
        """How the body is framed, by the head that is complete."""
        self._in_head = False
        self._left = length or None
        self._chunked = chunked

    def completed(self) -> bool:
        """Whether the message is: not at the end of its head, if a body follows an upgrade that is ignored."""
        if (self._left is not None or self._chunked) and self._llhttp.should_upgrade():
            return False
        if self._upgraded or self._chunked:  # a trailer's `Connection: close` must not close the next request to llhttp
            self._restart()
        else:
            self._next()
        return True

    def _resume(self) -> None:
        """Reads the body behind an upgrade with a parser that never heard of it."""
        callbacks = SimpleNamespace(
            on_body=self._callbacks.on_body, on_message_complete=self._callbacks.on_message_complete
        )
        framing = b"transfer-encoding: chunked" if self._chunked else b"content-length: %d" % (self._left or 0)
        self._llhttp = httptools.HttpRequestParser(callbacks)
        self._llhttp.feed_data(b"POST / HTTP/1.1\r\n%b\r\n\r\n" % framing)
        self._upgraded = True

    def _end(self, data: bytes, start: int) -> int:
        """Behind the next END, or with `data`. Not every END ends a message, but none ends elsewhere."""
        tail = self._tail
        straddling = (tail + data[start : start + 3]).find(END) if tail else -1
        if straddling >= 0:
            end = start + straddling + len(END) - len(tail)
        else:
            found = data.find(END, start)
            end = len(data) if found < 0 else found + len(END)
        self._tail = (tail + data[max(start, end - 3) : end])[-3:]
        return end

    def _judge(self, piece: bytes) -> None:
        """Raises what refuses a line that is not exactly `METHOD target HTTP/1.1` or 1.0, behind empty ones (2.2)."""
        assert self._line is not None
        line = self._line + piece
        while line.startswith(b"\r\n"):
            line = line[2:]
        if _line(line):
            self._line = None
        elif _unfinished(line):
            self._line = line
        elif _other(line):
            raise VersionNotSupported("the HTTP version is not 1.0 or 1.1")
        else:
            raise BadRequest("the request line is not exactly a method, a target and version 1.0 or 1.1 of HTTP")


def fault_of(error: httptools.HttpParserError) -> GatewayError:
    """What a parser error means: a refusal raised in a callback, a bug in one, or malformed HTTP."""
    cause = error.__context__
    if isinstance(cause, GatewayError):
        return cause
    if cause is not None and not isinstance(cause, httptools.HttpParserError):
        log.error("a callback failed", exc_info=cause)
        return GatewayError("the request could not be handled")
    return BadRequest(INVALID)
