"""The PROXY protocol, versions 1 and 2 (HAProxy's proxy-protocol.txt): whose connection it is that a proxy passes on.

Strict: what the specification does not allow for a stream is refused, and so is what is longer than it needs to be.
"""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import NamedTuple

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"  # of version 2
FIXED = 16  # bytes of version 2 before the addresses
LONGEST_LINE = 107  # bytes of version 1, with its line end
LONGEST = 4096  # bytes of version 2, with its TLVs, which are passed over

_tcp = re.compile(rb"PROXY TCP([46]) ([0-9A-Fa-f:.]+) ([0-9A-Fa-f:.]+) ([0-9]+) ([0-9]+)").fullmatch
_unknown = re.compile(rb"PROXY UNKNOWN(?: [ -~]*)?").fullmatch
_port = re.compile(rb"0|[1-9][0-9]{0,4}").fullmatch

LOCAL, PROXY = 0x20, 0x21  # version 2 and its command
UNSPECIFIED, TCP4, TCP6, UNIX = 0x00, 0x11, 0x21, 0x31  # family and transport
SIZES = {UNSPECIFIED: 0, TCP4: 12, TCP6: 36, UNIX: 216}


class ProxyProtocolError(ValueError):
    """What comes is no PROXY header, or none of a stream."""


class Header(NamedTuple):
    """The client's address (None: the connection is the sender's own, or of nobody with an address), and the header's
    size in bytes."""

    address: str | None
    size: int


def read_header(data: bytes) -> Header | None:
    """The header that `data` starts with; None: more is needed. Raises ProxyProtocolError."""
    if data.startswith(SIGNATURE[: len(data)]):
        return _read_binary(data) if len(data) >= FIXED else None
    if not b"PROXY ".startswith(data[:6]):
        raise ProxyProtocolError("it starts with none of the signatures")
    end = data.find(b"\r\n", 0, LONGEST_LINE)
    if end < 0:
        if len(data) >= LONGEST_LINE or b"\n" in data:
            raise ProxyProtocolError("its line does not end")
        return None
    return Header(_read_line(data[:end]), end + 2)


def _read_line(line: bytes) -> str | None:
    if _unknown(line):
        return None
    found = _tcp(line)
    if found is None or not all(_port(port) and int(port) < 65536 for port in (found[4], found[5])):
        raise ProxyProtocolError("its line is malformed")
    version = IPv4Address if found[1] == b"4" else IPv6Address
    try:
        source, _ = (version(text.decode()) for text in (found[2], found[3]))
    except AddressValueError:
        raise ProxyProtocolError("an address is malformed") from None
    return str(source)


def _read_binary(data: bytes) -> Header | None:
    command, family, size = data[12], data[13], FIXED + int.from_bytes(data[14:FIXED], "big")
    if command not in (LOCAL, PROXY):
        raise ProxyProtocolError("its version or command is unknown")
    if size > LONGEST:
        raise ProxyProtocolError(f"it is longer than {LONGEST} bytes")
    if command == LOCAL:  # the rest says nothing
        return Header(None, size) if len(data) >= size else None
    if family not in SIZES or size - FIXED < SIZES[family]:
        raise ProxyProtocolError("it is not of a stream, or too short for its addresses")
    if len(data) < size:
        return None
    if family == TCP4:
        return Header(str(IPv4Address(data[FIXED : FIXED + 4])), size)
    if family == TCP6:
        return Header(str(IPv6Address(data[FIXED : FIXED + 16])), size)
    return Header(None, size)
