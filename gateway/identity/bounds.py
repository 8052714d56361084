"""What bounds the use of a key: that it was revoked, its end, its clients' addresses, the pages that use it.

A page is what the browser says it is, in Referer or else in Origin. That keeps a key that is visible in a page from
being used by other pages; who is no browser writes what he likes there.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Protocol

from gateway.errors import Unavailable
from gateway.http.peer import is_among
from gateway.identity.refusals import Invalid
from gateway.identity.revocations import KEY, RETRY_AFTER, Marks
from gateway.model import ApiKey

REFERRER = 4096  # bytes; browsers send no more (Referrer Policy 8.3)

_IN_HOST = rb"[A-Za-z0-9._-]"
_REST = rb"(?:[/?#].*)?"


class Ask(Protocol):
    """What bounds look at in a request."""

    peer: str  # the client's address

    def header(self, name: bytes) -> list[bytes]:
        """All values of the field `name` (lower case), in order."""


Bound = Callable[[Ask, float], None]  # now in Unix seconds; raises Invalid


def bounds_of(key: ApiKey, marks: Marks) -> tuple[Bound, ...]:
    """The checks of each request with the key."""
    bounds = [_not_revoked(key.digest, marks)]
    if key.expires is not None:
        bounds.append(_until(key.expires))
    if key.addresses:
        bounds.append(_among(key))
    if key.referrers:
        bounds.append(_referred(key.referrers))
    return tuple(bounds)


def _not_revoked(digest: str, marks: Marks) -> Bound:
    def check(_: Ask, now: float) -> None:
        mark = marks.get(KEY, digest)
        if mark is not None and (not mark.value or now >= float(mark.value)):
            raise Invalid("api_key_revoked", "the API key has been revoked")
        if not marks.known:
            raise Unavailable("what was revoked is not known yet", code="identity_unavailable", retry_after=RETRY_AFTER)

    return check


def _until(expires: float) -> Bound:
    def check(_: Ask, now: float) -> None:
        if now >= expires:
            raise Invalid("api_key_expired", "the API key has expired")

    return check


def _among(key: ApiKey) -> Bound:
    def check(ask: Ask, _: float) -> None:
        if not is_among(ask.peer, key.addresses):
            raise Invalid("address_not_allowed", "the API key is not for clients at this address")

    return check


def _referred(filters: tuple[str, ...]) -> Bound:
    permits = re.compile(b"|".join(map(_pattern, filters)), re.DOTALL).fullmatch

    def check(ask: Ask, _: float) -> None:
        pages = ask.header(b"referer") or ask.header(b"origin")
        if len(pages) != 1 or len(pages[0]) > REFERRER or permits(pages[0]) is None:
            raise Invalid("referrer_not_allowed", "the API key is not for this page")

    return check


def _pattern(text: str) -> bytes:
    """The whole referrer (3scale's rule), but that `*` in a host stays in the host, and that a filter without a scheme
    or path is for any.
    """
    scheme, there, rest = text.rpartition("://")
    host, slash, path = rest.partition("/")
    start = scheme.encode() if there else rb"https?"
    end = _glob(slash + path, rb".") if slash else _REST
    return start + rb"://(?i:" + _glob(host, _IN_HOST) + rb")" + end


def _glob(text: str, character: bytes) -> bytes:
    """`*` stands for any of `character`. All but the last take the first that fits, so time grows with length alone."""
    first, *parts = (re.escape(part.encode()) for part in text.split("*"))
    if not parts:
        return first
    middle = b"".join(rb"(?>%b*?%b)" % (character, part) for part in parts[:-1] if part)
    return first + middle + character + b"*" + parts[-1]
