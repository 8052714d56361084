"""What services are told of who asked, and by which way."""

from __future__ import annotations

VIA = b"via: 1.1 gateway\r\n"


class Forwarding:
    """Who asked and for which host: X-Forwarded-*, Forwarded (RFC 7239) and Via, made once per Host value.

    `hops` are the trusted proxies between, the last one the gateway's peer; `host` is what they were asked for, if they
    said so.
    """

    __slots__ = ("_given", "_host", "_lines", "_more", "_peer", "address", "scheme")

    def __init__(
        self, address: str, scheme: bytes = b"http", host: bytes | None = None, hops: tuple[str, ...] = ()
    ) -> None:
        self.address = address
        self.scheme = scheme
        way = [hop.encode() for hop in (address, *hops)]
        self._peer = b"x-forwarded-for: %b\r\nx-forwarded-proto: %b\r\n%bforwarded: for=%b;proto=%b" % (
            b", ".join(way),
            scheme,
            VIA,
            node(way[0]),
            scheme,
        )
        self._more = b"".join(b", for=%b" % node(hop) for hop in way[1:])
        self._given = host
        self._host: bytes | None = None
        self._lines = b""

    def origin(self, host: bytes) -> bytes:
        """SCHEME://HOST[:PORT] as the client wrote it, where `host` is the Host field's value."""
        return b"%b://%b" % (self.scheme, self._given or host)

    def lines(self, host: bytes) -> bytes:
        if self._host != host:
            self._host = host
            asked = self._given or host
            self._lines = b'%b;host="%b"%b\r\nx-forwarded-host: %b\r\n' % (self._peer, asked, self._more, asked)
        return self._lines


def node(address: bytes) -> bytes:
    """RFC 7239 6."""
    return b'"[%b]"' % address if b":" in address else address
