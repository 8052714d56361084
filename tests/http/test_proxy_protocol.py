"""PROXY headers: what is one, and the many things that are none."""

from __future__ import annotations

import socket

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.http.proxy_protocol import LONGEST, SIGNATURE, Header, ProxyProtocolError, read_header

V4 = socket.inet_aton("203.0.113.7") + socket.inet_aton("10.0.0.1") + b"\x04\xd2\x01\xbb"
V6 = socket.inet_pton(socket.AF_INET6, "2001:db8::7") + bytes(16) + b"\x04\xd2\x01\xbb"


def binary(command: int, family: int, rest: bytes, size: int | None = None) -> bytes:
    return SIGNATURE + bytes((command, family)) + (len(rest) if size is None else size).to_bytes(2, "big") + rest


GOOD = {
    b"PROXY TCP4 203.0.113.7 10.0.0.1 1234 443\r\n": "203.0.113.7",
    b"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n": "255.255.255.255",
    b"PROXY TCP6 2001:db8::7 ::1 1 0\r\n": "2001:db8::7",
    b"PROXY TCP6 2001:0DB8:0000:0000:0000:0000:0000:0007 ::1 1 0\r\n": "2001:db8::7",
    b"PROXY TCP6 %b %b 65535 65535\r\n" % ((b"ffff:" * 8)[:-1], (b"ffff:" * 8)[:-1]): (8 * "ffff:")[:-1],
    b"PROXY UNKNOWN\r\n": None,
    b"PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n": None,
    binary(0x21, 0x11, V4): "203.0.113.7",
    binary(0x21, 0x21, V6): "2001:db8::7",
    binary(0x21, 0x11, V4 + b"\x04\x00\x03abc"): "203.0.113.7",  # a TLV
    binary(0x21, 0x11, V4 + bytes(LONGEST - 16 - 12)): "203.0.113.7",
    binary(0x21, 0x00, b""): None,
    binary(0x21, 0x31, bytes(216)): None,  # a UNIX socket
    binary(0x20, 0x00, b""): None,  # LOCAL: a check of the proxy's own
    binary(0x20, 0x11, V4): None,
    binary(0x20, 0xFF, b"whatever"): None,
}
BAD = [
    b"GET / HTTP/1.1\r\n",
    b"proxy TCP4 203.0.113.7 10.0.0.1 1234 443\r\n",
    b" PROXY TCP4 203.0.113.7 10.0.0.1 1234 443\r\n",
    b"PROXY  TCP4 203.0.113.7 10.0.0.1 1234 443\r\n",
    b"PROXY TCP4  203.0.113.7 10.0.0.1 1234 443\r\n",
    b"PROXY TCP4 203.0.113.7 10.0.0.1 1234 443 \r\n",
    b"PROXY TCP4 203.0.113.7 10.0.0.1 1234 443\n",
    b"PROXY TCP4 203.0.113.7 10.0.0.1 1234 443\r\r\n",
    b"PROXY TCP4 203.0.113.7\t10.0.0.1 1234 443\r\n",
    b"PROXY TCP4 203.0.113.7 10.0.0.1 1234\r\n",
    b"PROXY TCP4 203.0.113.7 10.0.0.1 1234 443 1\r\n",
    b"PROXY TCP4 203.0.113.7 10.0.0.1 01234 443\r\n",
    b"PROXY TCP4 203.0.113.7 10.0.0.1 65536 443\r\n",
    b"PROXY TCP4 203.0.113.7 10.0.0.1 -1 443\r\n",
    b"PROXY TCP4 203.0.113.7 10.0.0.1 +1 443\r\n",
    b"PROXY TCP4 203.0.113.256 10.0.0.1 1234 443\r\n",
    b"PROXY TCP4 203.0.113.07 10.0.0.1 1234 443\r\n",
    b"PROXY TCP4 203.0.113 10.0.0.1 1234 443\r\n",
    b"PROXY TCP4 203.0.113.7 nowhere 1234 443\r\n",
    b"PROXY TCP4 2001:db8::7 ::1 1234 443\r\n",
    b"PROXY TCP6 203.0.113.7 10.0.0.1 1234 443\r\n",
    b"PROXY TCP6 2001:db8::7::1 ::1 1234 443\r\n",
    b"PROXY TCP6 fe80::1%eth0 ::1 1234 443\r\n",
    b"PROXY TCP6 [2001:db8::7] ::1 1234 443\r\n",
    b"PROXY UDP4 203.0.113.7 10.0.0.1 1234 443\r\n",
    b"PROXY UNKNOWN\x00\r\n",
    b"PROXY UNKNOWNS\r\n",
    b"PROXY\r\n",
    b"PROXY UNKNOWN " + b"x" * 100,
    b"PROXY TCP4 " + b"1" * 200,
    binary(0x11, 0x11, V4),  # version 1 in the form of 2
    binary(0x31, 0x11, V4),
    binary(0x22, 0x11, V4),  # a command that is none
    binary(0x21, 0x12, V4),  # datagrams
    binary(0x21, 0x22, V6),
    binary(0x21, 0x41, V4),  # a family that is none
    binary(0x21, 0x10, V4),
    binary(0x21, 0x11, V4[:-1]),
    binary(0x21, 0x21, V4),
    binary(0x21, 0x31, bytes(215)),
    binary(0x21, 0x11, V4, LONGEST),
    binary(0x20, 0x00, b"", 65535),
    SIGNATURE[:-1] + b"\r" + b"\x21\x11\x00\x0c" + V4,
]


@pytest.mark.parametrize("data", GOOD)
def test_a_header_tells_whose_connection_it_is(data: bytes) -> None:
    assert read_header(data) == Header(GOOD[data], len(data))
    assert read_header(data + b"GET / HTTP/1.1\r\n\r\n") == Header(GOOD[data], len(data))


@pytest.mark.parametrize("data", GOOD)
def test_it_may_come_in_any_pieces(data: bytes) -> None:
    assert {read_header(data[:end]) for end in range(len(data))} == {None}


@pytest.mark.parametrize("data", BAD)
def test_what_is_malformed_is_refused(data: bytes) -> None:
    with pytest.raises(ProxyProtocolError):
        read_header(data)


@given(st.binary(max_size=300).flatmap(lambda rest: st.sampled_from([rest, SIGNATURE + rest, b"PROXY " + rest])))
@example(SIGNATURE)
def test_nothing_else_comes_of_anything(data: bytes) -> None:
    try:
        header = read_header(data)
    except ProxyProtocolError:
        return
    if header is None:
        assert len(data) < LONGEST
    else:
        assert header.size <= len(data)
        assert header.address is None or socket.getaddrinfo(header.address, None, flags=socket.AI_NUMERICHOST)


@given(st.binary(min_size=1, max_size=5000))
def test_who_is_to_send_more_has_sent_less_than_the_bound(rest: bytes) -> None:
    """However it goes on, what is kept of it is bounded."""
    for start in (b"PROXY ", SIGNATURE + b"\x21\x11"):
        data = start + rest
        try:
            header = read_header(data)
        except ProxyProtocolError:
            continue
        assert header is not None or len(data) < LONGEST


@given(st.ip_addresses(v=4) | st.ip_addresses(v=6), st.integers(0, 65535), st.binary(max_size=50))
def test_both_forms_of_any_address_are_read(address: object, port: int, rest: bytes) -> None:
    version = address.version  # type: ignore[attr-defined]
    line = f"PROXY TCP{version} {address} {address} {port} {port}\r\n".encode()
    packed = address.packed  # type: ignore[attr-defined]
    block = binary(0x21, 0x11 if version == 4 else 0x21, packed * 2 + port.to_bytes(2, "big") * 2)
    for data in (line, block):
        assert read_header(data + rest) == Header(str(address), len(data))
