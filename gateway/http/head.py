"""What a request's head must be before anything believes it (RFC 9112 3, 6; RFC 9110 7.2).

llhttp refuses most malformed heads by itself; here are the rules that it leaves out.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from gateway.errors import BadRequest, ExpectationFailed, MethodNotAllowed, VersionNotSupported
from gateway.http.host import parse_host
from gateway.http.path import normalise

REFUSED_METHODS = frozenset((b"CONNECT", b"TRACE", b"PRI"))  # tunnels, reflection, HTTP/2's preface
NO_BODY = frozenset((b"GET", b"HEAD", b"OPTIONS", b"DELETE"))
IDEMPOTENT = NO_BODY | {b"PUT"}  # RFC 9110 9.2.2, TRACE aside
_ABSOLUTE = re.compile(rb"https?://([^/?#]+)(.*)", re.IGNORECASE | re.DOTALL)
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._~-]{1,128}")
_TRACEPARENT = re.compile(rb"00-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


class Address(NamedTuple):
    """Where a request goes: host without port in lower case, path normalised (`*`: to no service), query as sent."""

    host: bytes
    path: bytes
    query: bytes


def address(method: bytes, target: bytes, hosts: list[bytes], version: str) -> Address:
    """Reads target and Host together; raises what refuses version or method, and BadRequest where target and Host are
    malformed, missing or disagree."""
    if version not in ("1.1", "1.0"):
        raise VersionNotSupported("the HTTP version is not 1.0 or 1.1")
    if method in REFUSED_METHODS:
        raise MethodNotAllowed("this method is not served")
    if len(hosts) != 1 and (hosts or version == "1.1"):
        raise BadRequest("exactly one Host field is needed")
    if hosts and not hosts[0]:  # no http URI has an empty host (RFC 9110 4.2.1)
        raise BadRequest("the Host field is empty")
    host = hosts[0] if hosts else b""
    path, query = target, b""
    if target != b"*" or method != b"OPTIONS":
        if not target.startswith(b"/"):
            host, target = absolute(target, hosts)
        path, query = normalise(target)
    return Address(parse_host(host)[0] if host else b"", path, query)


def absolute(target: bytes, hosts: list[bytes]) -> tuple[bytes, bytes]:
    """An absolute-form target as (host, origin-form); its authority must be the Host field's (RFC 9112 3.2.2)."""
    found = _ABSOLUTE.fullmatch(target)
    if found is None or any(found[1].lower() != host.lower() for host in hosts):
        raise BadRequest("the request target is not a path, or names another host")
    rest: bytes = found[2]
    return found[1], rest if rest.startswith(b"/") else b"/" + rest


def content_length(value: bytes, known: int | None) -> int:
    """The body's length; raises BadRequest where it is given twice, even alike, or is no number."""
    if known is not None or not value.isdigit() or len(value) > 18:
        raise BadRequest("Content-Length must be one number")
    return int(value)


def chunked(codings: list[bytes], version: str, *, has_length: bool) -> bool:
    """True for a chunked body. Transfer-Encoding must be exactly that, once, in 1.1, without Content-Length."""
    if len(codings) != 1 or codings[0].lower() != b"chunked" or has_length or version != "1.1":
        raise BadRequest("Transfer-Encoding must be exactly 'chunked', once and without Content-Length")
    return True


def expects_continue(values: list[bytes]) -> bool:
    """True for `Expect: 100-continue`; raises ExpectationFailed for anything else."""
    if len(values) != 1 or values[0].lower() != b"100-continue":
        raise ExpectationFailed("only 'Expect: 100-continue' is understood")
    return True


def request_id(value: bytes) -> bytes | None:
    """The client's request id if it is harmless."""
    return value if _REQUEST_ID.fullmatch(value) else None


def trace_id(value: bytes) -> bytes | None:
    """The trace of a valid `traceparent` (W3C Trace Context, level 1)."""
    found = _TRACEPARENT.fullmatch(value)
    return found[1] if found else None
