"""The heads that the gateway writes: a request's for the service, and its own fields of an answer."""

from __future__ import annotations

from gateway.gate import Admission
from gateway.proxy.exchange import Exchange, span_id

VIA = b"via: 1.1 gateway\r\n"


class Forwarding:
    """Who asked and for which host: X-Forwarded-*, Forwarded (RFC 7239) and Via, made once per Host value."""

    __slots__ = ("_host", "_lines", "_peer")

    def __init__(self, peer: str) -> None:
        address = peer.encode()
        node = b'"[%b]"' % address if b":" in address else address
        self._peer = b"x-forwarded-for: %b\r\nx-forwarded-proto: http\r\n%bforwarded: for=%b;proto=http" % (
            address,
            VIA,
            node,
        )
        self._host: bytes | None = None
        self._lines = b""

    def lines(self, host: bytes) -> bytes:
        if self._host != host:
            self._host = host
            self._lines = b'%b;host="%b"\r\nx-forwarded-host: %b\r\n' % (self._peer, host, host)
        return self._lines


def request_head(exchange: Exchange, admission: Admission, host_field: bytes, forwarding: Forwarding) -> bytes:
    """The head as the service gets it: every byte made from parsed parts."""
    service = admission.route.service
    path = stripped(exchange.path, len(service.path)) if service.strip_path else exchange.path
    request_id, trace_id = exchange.identify()
    return b"".join(
        (
            exchange.method,
            b" ",
            b"%b?%b" % (path, exchange.query) if exchange.query else path,
            b" HTTP/1.1\r\nhost: ",
            host_field,
            b"\r\n",
            *exchange.fields,
            forwarding.lines(exchange.host_field),
            b"x-request-id: %b\r\ntraceparent: 00-%b-%b-01\r\n" % (request_id, trace_id, span_id()),
            admission.subscription.note,
            body_framing(exchange),
        )
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


def answer_fields(exchange: Exchange) -> bytes:
    """The gateway's own fields of a service's answer, and the end of its head."""
    if not exchange.keep:
        connection = b"connection: close\r\n\r\n"
    else:
        connection = b"\r\n" if exchange.version == "1.1" else b"connection: keep-alive\r\n\r\n"
    return b"%bx-request-id: %b\r\n%b%b" % (exchange.limit_lines(), exchange.identify()[0], VIA, connection)
