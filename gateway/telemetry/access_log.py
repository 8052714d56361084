"""The access log: one JSON object on a line for each request, preformatted, written in batches.

A line is shorter than PIPE_BUF (4,096 bytes) whatever a client sends, so that workers that share a pipe never mix
their lines.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable

from gateway.telemetry.json_text import quote, text_of
from gateway.telemetry.record import Record

FLUSH_SECONDS = 0.1
FLUSH_BYTES = 65_536
CONTEXTS = 4_096  # preformatted parts that are remembered
LONGEST_PATH = 768  # as JSON; with thirteen fields of 200, names and numbers, a line stays below 3,900
LONGEST_FIELD = 200
LONGEST_WORD = 20

_is_plain = re.compile(r"[ !#-\[\]-~]{0,1200}").fullmatch  # printable ASCII that JSON need not escape

Context = tuple[
    str | None, str | None, str | None, str | None, str | None, str | None, str | None, str | None, str | None, int, str
]


class AccessLog:
    """Collects lines and hands them to `write`, at latest 100 ms after `log`. `write` must not block or raise."""

    def __init__(
        self,
        write: Callable[[bytes], object],
        call_later: Callable[[float, Callable[[], None]], object],
    ) -> None:
        self._write = write
        self._call_later = call_later
        self._lines: list[str] = []
        self._size = 0
        self._armed = False
        self._second = -1
        self._clock_text = ""
        self._contexts: dict[Context, str] = {}

    def log(self, record: Record) -> None:
        """Add one request."""
        line = self._line(record)
        self._lines.append(line)
        self._size += len(line)
        if self._size >= FLUSH_BYTES:
            self.flush()
        elif not self._armed:
            self._armed = True
            self._call_later(FLUSH_SECONDS, self._tick)

    def flush(self) -> None:
        """Write what was collected."""
        if self._lines:
            data = "".join(self._lines).encode("ascii")
            self._lines.clear()
            self._size = 0
            self._write(data)

    def _tick(self) -> None:
        self._armed = False
        self.flush()

    def _line(self, r: Record) -> str:
        started = r.started
        second = int(started)
        if second != self._second:
            self._second = second
            self._clock_text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        who = r.application, r.plan, r.subject
        key = (r.service, r.template, *who, r.upstream_name, r.limit, r.shadow, r.ledger, r.status, r.reason)
        context = self._contexts.get(key) or self._context(key)
        upstream, remaining = r.upstream_seconds, r.remaining
        upstream_ms = "null" if upstream is None else f"{upstream * 1e3:.3f}"
        return (
            f'{{"time":"{self._clock_text}.{int((started - second) * 1e3):03d}Z",{_asked(r)},{context},'
            f'"bytes_in":{r.bytes_in},"bytes_out":{r.bytes_out},"ms":{r.seconds * 1e3:.3f},'
            f'"upstream_ms":{upstream_ms},"remaining":{"null" if remaining is None else remaining}}}\n'
        )

    def _context(self, key: Context) -> str:
        if len(self._contexts) >= CONTEXTS:
            self._contexts.clear()
        text = self._contexts[key] = _context_text(*key)
        return text


def _asked(r: Record) -> str:
    """What the client chose, quoted the long way only where it needs to be."""
    request_id, trace_id, peer = r.request_id, r.trace_id, r.peer
    method, host, path = r.method.decode("latin-1"), r.host.decode("latin-1"), r.path.decode("latin-1")
    if _is_plain(f"{method}{host}{path}{request_id}{trace_id}{peer}"):
        return (
            f'"request_id":"{request_id}","trace_id":"{trace_id}","client":"{peer}",'
            f'"method":"{method}","host":"{host}","path":"{path}"'
        )
    return (
        f'"request_id":{_field(request_id)},"trace_id":{_field(trace_id)},"client":{_field(peer)},'
        f'"method":{_field(text_of(r.method))},"host":{_field(text_of(r.host))},'
        f'"path":{quote(text_of(r.path), LONGEST_PATH)}'
    )


def _context_text(
    service: str | None,
    template: str | None,
    application: str | None,
    plan: str | None,
    subject: str | None,
    upstream: str | None,
    limit: str | None,
    shadow: str | None,
    ledger: str | None,
    status: int,
    reason: str,
) -> str:
    return (
        f'"service":{_field(service)},"route":{_field(template)},"application":{_field(application)},'
        f'"plan":{_field(plan)},"subject":{_field(subject)},"status":{status},"reason":{_field(reason)},'
        f'"upstream":{_field(upstream)},"limit":{_field(limit)},"shadow":{_field(shadow)},'
        f'"ledger":{quote(ledger, LONGEST_WORD)}'
    )


def _field(text: str | None) -> str:
    return quote(text, LONGEST_FIELD)
