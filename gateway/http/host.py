"""The Host field and an absolute target's authority, read strictly. RFC 9110 7.2, RFC 3986 3.2.2."""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import AddressValueError, IPv4Address, IPv6Address

from gateway.errors import BadRequest

_authority = re.compile(rb"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::([0-9]{0,5}))?").fullmatch
_number = re.compile(rb"(?:[0-9]+|0x[0-9a-f]*)").fullmatch


@lru_cache(maxsize=1024)  # clients repeat themselves; a flood of other values only costs the parsing
def parse_host(value: bytes) -> tuple[bytes, int | None]:
    """(host, port) of a Host value; raises BadRequest.

    The host is in lower case, without a trailing dot; an IPv6 address keeps its brackets and is in its shortest form
    (RFC 5952). The port is None where none is given. User information, percent-encoding and zone ids are refused.
    """
    found = _authority(value)
    if found is None:
        raise BadRequest("the Host field is not a host and an optional port")
    port = int(found[2]) if found[2] else None
    if port is not None and port > 65535:
        raise BadRequest("the Host field's port is above 65535")
    return _canonical(found[1].lower()), port


def _canonical(host: bytes) -> bytes:
    try:
        if host[:1] == b"[":
            return f"[{IPv6Address(host[1:-1].decode()).compressed}]".encode()
        host = host.removesuffix(b".")
        labels = host.split(b".")
        if _number(labels[-1]):  # what could be an address must be one, in its one usual form: not 0x7f.1 nor 127.1
            IPv4Address(host.decode())
            return host
    except AddressValueError:
        raise BadRequest("the Host field holds a malformed IP address") from None
    if len(host) > 253 or not all(0 < len(label) <= 63 and label[0] != 45 != label[-1] for label in labels):
        raise BadRequest("the Host field is not a valid name")
    return host
