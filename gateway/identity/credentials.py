"""Extraction: what a request presents, of what a service accepts. Nothing is verified here.

A bearer token is taken from Authorization only (RFC 6750 2.1): in a query it would end up in logs. A credential given
twice is ambiguous and refused, because another reader might take the other one.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Callable, Iterator
from typing import Protocol
from urllib.parse import unquote_to_bytes

from gateway.identity.refusals import Invalid
from gateway.model import KeyPlace

_SCHEME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # an auth-scheme is a token (RFC 9110 11.1)
_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")
_BAD_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")


class Ask(Protocol):
    """What extraction needs of a request. `query` is as sent, without `?`."""

    method: bytes
    path: bytes
    query: bytes
    peer: str  # the client's address
    own_cookies: tuple[bytes, ...]  # as NAME=VALUE: those that the gateway itself has set

    @property
    def origin(self) -> bytes:
        """SCHEME://HOST[:PORT] as the client wrote it."""

    @property
    def certificate(self) -> bytes | None:
        """The client's own, in DER; None where it showed none."""

    def header(self, name: bytes) -> list[bytes]:
        """All values of the field `name` (lower case), in order."""


Reader = Callable[[Ask], bytes | None]


def bearer(ask: Ask) -> bytes | None:
    """The bearer token; None: absent, or another scheme's. Raises Invalid for what is unreadable or given twice."""
    return _scheme(ask, b"bearer")


def dpop(ask: Ask) -> bytes | None:
    """The same of a token by DPoP (RFC 9449 7.1)."""
    return _scheme(ask, b"dpop")


def reader(place: KeyPlace) -> Reader:
    """How to read the key at a place; None where nothing is presented. It raises Invalid."""
    name = place.name.encode()
    if place.kind == "header":
        field = name.lower()
        return lambda ask: _single(ask.header(field), "header field")
    if place.kind == "query":
        return lambda ask: _single(list(_parameters(ask.query, name)), "query parameter")
    part = 0 if place.name == "username" else 1
    return lambda ask: _basic(ask, part)


def _single(values: list[bytes], what: str) -> bytes | None:
    if len(values) > 1:
        raise Invalid("credentials_ambiguous", f"the {what} with the credential is given more than once")
    return values[0] if values else None


def _parameters(query: bytes, name: bytes) -> Iterator[bytes]:
    """The values of a query parameter, decoded (application/x-www-form-urlencoded)."""
    if name not in query and b"%" not in query:
        return
    for pair in query.split(b"&"):
        key, _, value = pair.partition(b"=")
        if unquote_to_bytes(key.replace(b"+", b" ")) != name:
            continue
        if _BAD_ESCAPE.search(pair):
            raise Invalid("credentials_malformed", "the query parameter with the API key is not well encoded")
        yield unquote_to_bytes(value.replace(b"+", b" "))


def _scheme(ask: Ask, scheme: bytes) -> bytes | None:
    """What follows the scheme in Authorization; None: absent, or another scheme's (RFC 9110 11.4)."""
    field = _single(ask.header(b"authorization"), "Authorization field")
    if field is None:
        return None
    found, _, rest = field.partition(b" ")
    if not _SCHEME.fullmatch(found):
        raise Invalid("credentials_malformed", "the Authorization field does not begin with a scheme")
    return rest.strip(b" ") if found.lower() == scheme else None


def _basic(ask: Ask, part: int) -> bytes | None:
    """The user-id (0) or the password (1) of RFC 7617."""
    text = _scheme(ask, b"basic")
    if text is None:
        return None
    try:
        pair = b64decode(text, validate=True)
    except Base64Error:
        pair = b""
    if b":" not in pair or _CONTROL.search(pair) or b64encode(pair) != text:
        raise Invalid("credentials_malformed", "the Basic credentials cannot be read")
    return pair.split(b":", 1)[part]


def is_by_dpop(ask: Ask) -> bool:
    """Whether the client says that it sends a token by DPoP."""
    return any(value[:5].lower() == b"dpop " for value in ask.header(b"authorization"))
