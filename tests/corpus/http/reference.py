"""What a request is by the grammar of RFC 9112 alone: slow, strict, small enough to be seen to be right.

It judges what the gateway sends upstream, and bounds what the gateway may make of any bytes that a client sends.
"""

from __future__ import annotations

import re
from typing import NamedTuple

TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # RFC 9110 5.6.2
VALUE = rb"[!-~\x80-\xff](?:[ \t!-~\x80-\xff]*[!-~\x80-\xff])?"  # RFC 9110 5.5, without the whitespace around it
FIELD = rb"%b:[ \t]*(?:%b)?[ \t]*\r\n" % (TOKEN, VALUE)
HEAD = re.compile(rb"(?:\r\n)*(%b) ([!-~]+) HTTP/1\.([01])\r\n((?:%b)*)\r\n" % (TOKEN, FIELD))
CHUNK = re.compile(rb"([0-9A-Fa-f]+)(?:;[\t -~\x80-\xff]*)?\r\n")  # an extension's text is nothing to a recipient
TRAILERS = re.compile(rb"(?:%b)*\r\n" % FIELD)


class Request(NamedTuple):
    """One request; names in lower case, values without the whitespace around them, the body without its framing."""

    method: bytes
    target: bytes
    minor: bytes
    fields: list[tuple[bytes, bytes]]
    body: bytes

    def values(self, name: bytes) -> list[bytes]:
        return [value for key, value in self.fields if key == name]

    @property
    def is_chunked(self) -> bool:
        return bool(self.values(b"transfer-encoding"))

    @property
    def is_last(self) -> bool:
        """Nothing after it on its connection is a request (RFC 9112 9.3)."""
        options = b",".join(self.values(b"connection")).lower().split(b",")
        tokens = {option.strip(b" \t") for option in options}
        return b"close" in tokens or (self.minor == b"0" and b"keep-alive" not in tokens)


def whole(data: bytes) -> tuple[list[Request], bytes]:
    """The whole and valid requests that `data` starts with, and what is left."""
    found: list[Request] = []
    while not (found and found[-1].is_last):
        request, rest = first(data)
        if request is None:
            break
        found.append(request)
        data = rest
    return found, data


def first(data: bytes) -> tuple[Request | None, bytes]:
    """The request that `data` starts with, and the rest; None where it is not whole or not valid."""
    head = HEAD.match(data)
    if head is None:
        return None, data
    lines = [line.partition(b":") for line in head[4].split(b"\r\n")[:-1]]
    fields = [(name.lower(), value.strip(b" \t")) for name, _, value in lines]
    request = Request(head[1], head[2], head[3], fields, b"")
    body, rest = content(request, data[head.end() :])
    return (None, data) if body is None else (request._replace(body=body), rest)


def content(request: Request, data: bytes) -> tuple[bytes | None, bytes]:
    """The body at the start of `data`, and the rest (RFC 9112 6.3); None where it is not whole or not certain."""
    lengths, codings, hosts = map(request.values, (b"content-length", b"transfer-encoding", b"host"))
    if len(hosts) > 1 or (not hosts and request.minor == b"1"):  # RFC 9112 3.2
        return None, data
    if codings:
        sound = [coding.lower() for coding in codings] == [b"chunked"] and request.minor == b"1" and not lengths
        return chunks(data) if sound else (None, data)
    if not lengths:
        return b"", data
    if len(lengths) > 1 or not re.fullmatch(rb"[0-9]+", lengths[0]):
        return None, data
    size = int(lengths[0])
    return (data[:size], data[size:]) if len(data) >= size else (None, data)


def chunks(data: bytes) -> tuple[bytes | None, bytes]:
    """A chunked body (RFC 9112 7.1), decoded, and the rest."""
    body = b""
    while (line := CHUNK.match(data)) is not None:
        size = int(line[1], 16)
        data = data[line.end() :]
        if size == 0:
            end = TRAILERS.match(data)
            return (None, data) if end is None else (body, data[end.end() :])
        if data[size : size + 2] != b"\r\n":
            break
        body, data = body + data[:size], data[size + 2 :]
    return None, data
