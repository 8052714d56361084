"""What a client got, read by the grammar alone."""

from __future__ import annotations

import re
from typing import NamedTuple

from corpus.http.reference import FIELD, chunks

ANSWER = re.compile(rb"HTTP/1\.1 (\d{3} [ -~]*)\r\n((?:%b)*)\r\n" % FIELD)
NAMES = {b"date", b"via", b"x-request-id"}  # the gateway's own
OWN = tuple(name + b":" for name in NAMES)


class Received(NamedTuple):
    """An answer and the interim ones before it, in the corpus' notation; whether it is whole; what came after it."""

    got: bytes
    whole: bool
    rest: bytes


def received(data: bytes, *, head_only: bool) -> Received:
    got = b""
    while (head := ANSWER.match(data)) is not None:
        lines = head[2].split(b"\r\n")[:-1]
        fields = [line for line in lines if not line.startswith(OWN)]
        got += b"\r\n".join((b"HTTP/1.1 " + head[1], *fields, b"", b""))
        data = data[head.end() :]
        if not head[1].startswith(b"1"):
            own = {line.partition(b":")[0] for line in lines if line.startswith(OWN)}
            assert own == NAMES or (own == NAMES - {b"via"} and head[1][:3] in (b"502", b"504")), head
            return _with_body(got, fields, data, bodyless=head_only or head[1][:3] in (b"204", b"304"))
    return Received(got, False, data)


def _with_body(got: bytes, fields: list[bytes], data: bytes, *, bodyless: bool) -> Received:
    length = next((int(field[16:]) for field in fields if field.startswith(b"content-length: ")), None)
    if bodyless:
        return Received(got, True, data)
    if b"transfer-encoding: chunked" in fields:
        return _with_chunks(got, data)
    if length is None:  # until the connection closes
        return Received(got + data, False, b"")
    return Received(got + data[:length], len(data) >= length, data[length:])


def _with_chunks(got: bytes, data: bytes) -> Received:
    body, rest = chunks(data)
    whole = body is not None
    if body is None:
        body, rest = chunks(data + b"0\r\n\r\n")[0] or b"", b""
    framed = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
    return Received(got + framed + (b"0\r\n\r\n" if whole else b""), whole, rest)
