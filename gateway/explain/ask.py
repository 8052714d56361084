"""A request as a command line describes it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from gateway.http import head
from gateway.http.fields import REQUEST_KINDS, Kind

_line = re.compile(rb"([A-Za-z]+) (\S+)").fullmatch
_field = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\r\n\0]*)").fullmatch


@dataclass
class Ask:
    """What the gate looks at in a request."""

    method: bytes
    host: bytes
    path: bytes
    query: bytes
    peer: str
    fields: list[tuple[bytes, bytes]] = field(default_factory=list)
    certificate: bytes | None = None
    origin: bytes = b"http://localhost"
    own_cookies: tuple[bytes, ...] = ()

    def header(self, name: bytes) -> list[bytes]:
        return [value for key, value in self.fields if key == name]

    @property
    def target(self) -> str:
        text = self.path + (b"?" + self.query if self.query else b"")
        return f"{self.method.decode()} {text.decode(errors='replace')}"


def read(request: str, host: str, headers: Sequence[str], peer: str, certificate: bytes | None = None) -> Ask:
    """From `GET /path?query` and `Name: value` each. Raises ValueError for what is none of these, and
    GatewayError for what no listener would take."""
    found = _line(request.encode())
    if found is None:
        raise ValueError(f"'{request}' is not a method and a path, as GET /orders")
    fields = [_read_field(text) for text in headers]
    hosts = [value for name, value in fields if name == b"host"] or [host.encode()]
    where = head.address(found[1].upper(), found[2], hosts, "1.1")
    kept = [pair for pair in fields if REQUEST_KINDS[pair[0]] in (Kind.PASS, Kind.AUTHORIZATION, Kind.COOKIE)]
    return Ask(found[1].upper(), *where, peer, kept, certificate, b"http://" + hosts[0])


def _read_field(text: str) -> tuple[bytes, bytes]:
    found = _field(text.encode())
    if found is None:
        raise ValueError("a header is written as Name: value")  # which may hold a secret
    return found[1].lower(), found[2].rstrip(b" \t")
