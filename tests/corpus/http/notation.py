"""How the corpus is written down: what a client or a service sends, what must come of it, and by which rule."""

from __future__ import annotations

from typing import Any, NamedTuple

CRLF = b"\r\n"
ROOT = b"GET / HTTP/1.1\r\n\r\n"  # the plainest request, as a service sees it


class Case(NamedTuple):
    """Bytes of a client, and what becomes of them.

    `seen` are the requests that the service gets, whole and in this order, without the gateway's own fields and with
    all chunks in one. Then `status` refuses, if there is one. `ends`: nothing after it is a request.
    """

    name: str
    sent: bytes
    seen: tuple[bytes, ...]
    status: int | None
    ends: bool
    rule: str


def accept(name: str, sent: bytes, *seen: bytes, rule: str, ends: bool = False) -> Case:
    """The service gets exactly `seen`, and the connection goes on unless it `ends`."""
    return Case(name, sent, seen, None, ends, rule)


def refuse(name: str, sent: bytes, *seen: bytes, rule: str, status: int = 400) -> Case:
    """After `seen` comes a refusal, and nothing that follows on this connection is believed."""
    return Case(name, sent, seen, status, True, rule)


def get(*fields: bytes, target: bytes = b"/", host: bytes = b"Host: a") -> bytes:
    """A GET with these lines after its Host."""
    return head(b"GET %b HTTP/1.1" % target, host, *fields)


def post(*fields: bytes, body: bytes = b"") -> bytes:
    """A POST with these lines after its Host."""
    return head(b"POST / HTTP/1.1", b"Host: a", *fields) + body


def chunked(body: bytes, *fields: bytes) -> bytes:
    """A POST in chunks, of which `body` are the raw bytes."""
    return post(b"Transfer-Encoding: chunked", *fields, body=body)


def head(*lines: bytes) -> bytes:
    return b"".join(line + CRLF for line in lines) + CRLF


def seen_post(body: bytes, *fields: bytes) -> bytes:
    """A POST as the service sees it, framed by its length."""
    return head(b"POST / HTTP/1.1", *fields, b"content-length: %d" % len(body)) + body


def seen_chunked(body: bytes, *fields: bytes) -> bytes:
    """A POST as the service sees it, in one chunk."""
    framed = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if body else b"0\r\n\r\n"
    return head(b"POST / HTTP/1.1", *fields, b"transfer-encoding: chunked") + framed


class Answer(NamedTuple):
    """Bytes of a service, and what becomes of them.

    `got` is what the client gets, without the gateway's own fields and with all chunks in one; a status where the
    gateway answers instead. `cut`: its end never comes, and the client sees that. `reused`: the service's connection
    serves the next request. `ending` is what the service does after `sent`: keep, close, reset or shut (half of it);
    `later` comes once the client has its answer.
    """

    name: str
    sent: bytes
    got: bytes | int
    rule: str
    request: bytes = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    ending: str = "keep"
    later: bytes = b""
    cut: bool = False
    reused: bool = True


def passes(name: str, sent: bytes, got: bytes, **rest: Any) -> Answer:
    """The truth: the client gets `got`, and the service's connection is `reused` unless it says otherwise."""
    return Answer(name, sent, got, **rest)


def spends(name: str, sent: bytes, got: bytes, **rest: Any) -> Answer:
    """The client gets `got`, and the connection that it came by is not trusted again."""
    return Answer(name, sent, got, reused=False, **rest)


def fails(name: str, sent: bytes, **rest: Any) -> Answer:
    """502: nothing of `sent` reaches the client."""
    return Answer(name, sent, 502, reused=False, **rest)


def cuts(name: str, sent: bytes, got: bytes, **rest: Any) -> Answer:
    """The client gets no more than `got`, and its connection ends before the answer does."""
    return Answer(name, sent, got, cut=True, reused=False, **rest)
