"""The heads that the gateway writes: a request's for the service, and its own fields of an answer."""

from __future__ import annotations

import time
from typing import Final

from gateway.gate import Admission
from gateway.http.ratelimit import limit_fields
from gateway.proxy.exchange import Exchange
from gateway.proxy.forwarding import VIA
from gateway.proxy.ids import Ids

_ids: Final = Ids()


def request_head(exchange: Exchange, admission: Admission, host_field: bytes) -> bytes:
    """The head as the service gets it: every byte made from parsed parts."""
    service, path = admission.route.service, exchange.path
    if service.strip_path:
        path = stripped(path, len(service.path))
    outward = exchange.outward
    if outward is None:
        fields, query, lines = exchange.fields, exchange.query, exchange.lines
    else:
        fields, query, lines = outward.fields, outward.query, b""
    request_id, trace_id = exchange.identify()
    return b"%b %b%b%b HTTP/1.1\r\nhost: %b\r\n%bx-request-id: %b\r\ntraceparent: 00-%b-%b-01\r\n%b%b" % (
        exchange.method,
        path,
        b"?" if query else b"",
        query,
        host_field,
        lines or b"".join((*fields, exchange.forwarding.lines(exchange.host_field))),
        request_id,
        trace_id,
        _ids.draw(16),  # a new span for the hop to the upstream (W3C Trace Context)
        admission.subscription.note,
        body_framing(exchange),
    )


def body_framing(exchange: Exchange) -> bytes:
    """The lines that frame the body, and the end of the head."""
    if exchange.chunked:
        return b"transfer-encoding: chunked\r\n\r\n"
    if exchange.length is not None:
        return b"content-length: %d\r\n\r\n" % exchange.length
    return b"\r\n"


def stripped(path: bytes, prefix: int) -> bytes:
    """`path` without its first `prefix` bytes, still starting with a slash."""
    rest = path[prefix:]
    return rest if rest.startswith(b"/") else b"/" + rest


def answer_fields(exchange: Exchange, via: bytes = VIA) -> bytes:
    """The gateway's own fields of a service's answer, and the end of its head. `via` is empty for what is its own."""
    if not exchange.keep:
        connection = b"connection: close\r\n\r\n"
    else:
        connection = b"\r\n" if exchange.version == "1.1" else b"connection: keep-alive\r\n\r\n"
    admission = exchange.admission
    outcome = None if admission is None else admission.outcome
    limits = b"" if outcome is None else limit_fields(outcome, time.time())
    return b"%bx-request-id: %b\r\n%b%b" % (limits, exchange.identify()[0], via, connection)
