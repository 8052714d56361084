"""Who the client is, by what trusted proxies say: Forwarded (RFC 7239), and X-Forwarded-For, -Proto and -Host.

Each proxy adds the peer that it saw at the right. So the client is the right-most hop that is no trusted proxy; what
is left of it anybody may have written, and is not looked at.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from ipaddress import ip_address
from typing import NamedTuple

from gateway.errors import BadRequest
from gateway.http.fields import WHITESPACE
from gateway.http.host import parse_host

Trusts = Callable[[str], bool]  # whether an address is a trusted proxy's

_token = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_pair = re.compile(rb'(%b)=(?:(%b)|"((?:[\t !#-\[\]-~\x80-\xff]|\\[\t -~\x80-\xff])*)")' % (_token, _token)).match
_separator = re.compile(rb"[ \t]*([;,])[ \t]*").match
_escaped = re.compile(rb"\\(.)").sub
_node = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([0-9.]+))(?::[0-9]{1,5})?").fullmatch
_anonymous = re.compile(r"(?:unknown|_[A-Za-z0-9._-]+)(?::(?:[0-9]{1,5}|_[A-Za-z0-9._-]+))?", re.IGNORECASE).fullmatch


class Said(NamedTuple):
    """The fields of a request by trusted proxies, in order."""

    forwarded: tuple[bytes, ...] = ()
    addresses: tuple[bytes, ...] = ()  # X-Forwarded-For
    protos: tuple[bytes, ...] = ()
    hosts: tuple[bytes, ...] = ()


class Origin(NamedTuple):
    """The client's address, then the trusted proxies between; scheme and host that it used, where they were told."""

    address: str
    hops: tuple[str, ...] = ()
    scheme: bytes | None = None
    host: bytes | None = None


def origin(peer: str, trusts: Trusts, said: Said) -> Origin:
    """`peer` is a trusted proxy. Raises BadRequest where what decides is malformed, or the fields disagree."""
    elements = list(parse_forwarded(b",".join(said.forwarded)))
    ways = []
    if elements:
        ways.append(_walk(peer, trusts, (element.get(b"for", b"unknown") for element in reversed(elements))))
    if nodes := [node for node in b",".join(said.addresses).split(b",") if node.strip(WHITESPACE)]:
        ways.append(_walk(peer, trusts, reversed(nodes)))
    if len({way[0] for way in ways}) > 1:
        raise BadRequest("Forwarded and X-Forwarded-For name different clients", code="forwarded_ambiguous")
    address, *hops = ways[0] if ways else [peer]
    nearest = elements[-1] if elements else {}
    scheme = _scheme(said.protos or _one(nearest.get(b"proto")))
    return Origin(address, tuple(hops), scheme, _host(said.hosts or _one(nearest.get(b"host"))))


def _one(value: bytes | None) -> tuple[bytes, ...]:
    return () if value is None else (value,)


def _walk(peer: str, trusts: Trusts, nodes: Iterator[bytes]) -> list[str]:
    """From the client to the peer, as far as trusted proxies tell."""
    way = [peer]
    for node in nodes:
        address = address_of(node.strip(WHITESPACE))
        if address is None:
            break
        way.insert(0, address)
        if not trusts(address):
            break
    return way


def address_of(node: bytes) -> str | None:
    """A node's address, without its port; None for one that is unknown or disguised (RFC 7239 6). Raises BadRequest."""
    text = node.decode("latin-1")
    if _anonymous(text):
        return None
    found = _node(text)
    try:
        if "%" in text:  # a zone, which is one machine's
            raise ValueError(text)
        return str(ip_address(found[1] or found[2] if found else text))
    except ValueError:
        raise BadRequest("a trusted proxy names a client that is no address", code="forwarded_malformed") from None


def parse_forwarded(value: bytes) -> Iterator[dict[bytes, bytes]]:
    """The elements of a Forwarded value (RFC 7239 4), names in lower case; raises BadRequest."""
    element: dict[bytes, bytes] = {}
    position, value = 0, value.strip(b" \t,")
    while position < len(value):
        found = _pair(value, position)
        name = found[1].lower() if found else b""
        if found is None or name in element:
            raise BadRequest("a trusted proxy's Forwarded is malformed", code="forwarded_malformed")
        element[name] = found[2] if found[2] is not None else _escaped(rb"\1", found[3])
        separator = _separator(value, found.end())
        if separator is None and found.end() < len(value):
            raise BadRequest("a trusted proxy's Forwarded is malformed", code="forwarded_malformed")
        if separator is None or separator[1] == b",":
            yield element
            element = {}
        position = len(value) if separator is None else separator.end()


def _scheme(values: tuple[bytes, ...]) -> bytes | None:
    """The one scheme that is told; a list says nothing of who added what."""
    scheme = values[0].lower() if len(values) == 1 else b""
    return scheme if scheme in (b"http", b"https") else None


def _host(values: tuple[bytes, ...]) -> bytes | None:
    """The one host that is told, as it was told, if it is one."""
    if len(values) != 1:
        return None
    try:
        parse_host(values[0])
    except BadRequest:
        return None
    return values[0]
