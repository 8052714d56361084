"""The access log: one JSON object on a line for each request, preformatted, written in batches.

A line is shorter than PIPE_BUF (4,096 bytes) whatever a client sends, so that workers that share a pipe never mix
their lines.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Hashable, Mapping
from typing import Final

from gateway.http.decimals import PADDED, decimal, milliseconds
from gateway.telemetry.json_text import quote, text_of
from gateway.telemetry.record import Record

FLUSH_SECONDS = 0.1
FLUSH_BYTES = 65_536
BATCH = 64  # requests that wait to be formatted together: one after the other they cost half as much
CONTEXTS = 4_096  # preformatted parts that are remembered
LONGEST_PATH = 712  # as JSON; with thirteen fields of 200, names and numbers, a line stays below 4,060
LONGEST_FIELD = 200
LONGEST_PROOF = 80
LONGEST_WORD = 20
LONGEST_CHARGED = 100

NULL: Final = b"null"
LINE: Final = (  # %b alone: that the compiler joins itself
    b'{"time":"%b.%bZ","request_id":"%b","trace_id":"%b","client":"%b","method":"%b","host":"%b","path":"%b",%b,'
    b'"bytes_in":%b,"bytes_out":%b,"ms":%b,"upstream_ms":%b,"remaining":%b}\n'
)
WAITED: Final = b'%b,"waited_ms":%b}\n'

_is_plain = re.compile(rb"[ !#-\[\]-~]{0,1200}").fullmatch  # printable ASCII that JSON need not escape


class AccessLog:
    """Collects lines and hands them to `write`, at latest 100 ms after `log`. `write` must not block or raise."""

    def __init__(
        self,
        write: Callable[[bytes], object],
        call_later: Callable[[float, Callable[[], None]], object],
    ) -> None:
        self._write = write
        self._call_later = call_later
        self._waiting: list[Record] = []
        self._lines: list[bytes] = []
        self._size = 0
        self._armed = False
        self._second = -1
        self._clock_text = b""
        self._contexts: dict[Hashable, bytes] = {}

    def log(self, record: Record) -> None:
        """Add one request, which does not change any more."""
        self._waiting.append(record)
        if len(self._waiting) >= BATCH:
            self._format()
        if not self._armed:
            self._armed = True
            self._call_later(FLUSH_SECONDS, self._tick)

    def flush(self) -> None:
        """Write what was collected."""
        self._format()
        if self._lines:
            self._put()

    def _put(self) -> None:
        data = b"".join(self._lines)
        self._lines.clear()
        self._size = 0
        self._write(data)

    def _tick(self) -> None:
        self._armed = False
        self.flush()

    def _format(self) -> None:
        contexts = self._contexts
        for record in self._waiting:
            second = int(record.started)
            if second != self._second:
                self._second = second
                self._clock_text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second)).encode()
            context = contexts.get(record.kind) or self._context(record)
            line = _line(record, self._clock_text, context)
            self._lines.append(line)
            self._size += len(line)
            if self._size >= FLUSH_BYTES:
                self._put()
        self._waiting.clear()

    def _context(self, record: Record) -> bytes:
        if record.measured:
            return _context_text(record).encode("ascii")
        if len(self._contexts) >= CONTEXTS:
            self._contexts.clear()
        text = self._contexts[record.kind] = _context_text(record).encode("ascii")
        return text


def _line(r: Record, clock: bytes, context: bytes) -> bytes:
    """What the client chose is quoted the long way only where it needs to be."""
    (request_id, trace_id), peer, method, host, path = r.identify(), r.peer.encode(), r.method, r.host, r.path
    if not _is_plain(b"%b%b%b%b%b%b" % (method, host, path, request_id, trace_id, peer)):
        request_id, trace_id, peer, method, host = map(_shown, (request_id, trace_id, peer, method, host))
        path = _shown(path, LONGEST_PATH)
    upstream, remaining, turn = r.upstream_seconds, r.remaining, r.turn
    line = LINE % (
        clock,
        PADDED[int(r.started % 1.0 * 1e3)],
        request_id,
        trace_id,
        peer,
        method,
        host,
        path,
        context,
        decimal(r.bytes_in),
        decimal(r.bytes_out),
        milliseconds(r.seconds),
        NULL if upstream is None else milliseconds(upstream),
        NULL if remaining is None else decimal(remaining),
    )
    return line if turn is None else WAITED % (line[:-2], milliseconds(turn.seconds))


def _shown(raw: bytes, longest: int = LONGEST_FIELD) -> bytes:
    """Quoted, without the quotes."""
    return quote(text_of(raw), longest)[1:-1].encode("ascii")


def _context_text(r: Record) -> str:
    return (
        f'"service":{_field(r.service)},"route":{_field(r.template)},"application":{_field(r.application)},'
        f'"plan":{_field(r.plan)},"subject":{_field(r.subject)},"proof":{quote(r.proof, LONGEST_PROOF)},'
        f'"status":{r.status},"reason":{_field(r.reason)},'
        f'"upstream":{_field(r.upstream_name)},"limit":{_field(r.limit)},"shadow":{_field(r.shadow)},'
        f'"charged":{_amounts(r.charged)},"ledger":{quote(r.ledger, LONGEST_WORD)}'
    )


def _amounts(charged: Mapping[str, int] | None) -> str:
    """An object of as many as a line has room for."""
    if charged is None:
        return "null"
    text = ""
    for metric, units in charged.items():
        more = f',"{metric}":{units}' if text else f'"{metric}":{units}'
        text += more if len(text) + len(more) <= LONGEST_CHARGED else ""
    return f"{{{text}}}"


def _field(text: str | None) -> str:
    return quote(text, LONGEST_FIELD)
