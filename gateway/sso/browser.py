"""What a request says of the browser that sent it: whether a person goes somewhere, and from where."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Protocol
from urllib.parse import quote, unquote, urlencode, urlsplit

PREFIX = "/.sso"  # of all paths of sign-on
SAFE_METHODS = (b"GET", b"HEAD", b"OPTIONS")  # RFC 9110 9.2.1; TRACE is not served
LONGEST_TARGET = 2048
FORMS = (b"application/x-www-form-urlencoded", b"multipart/form-data", b"text/plain")  # what forms of HTML send
NOTHING: Mapping[str, str] = MappingProxyType({})
PORTS = {"http": 80, "https": 443}
LOOPBACK = re.compile(r"http://(?:localhost|[^/:]*\.localhost|127(?:\.[0-9]{1,3}){3}|\[::1\])(?::[0-9]+)?").fullmatch

_target = re.compile(
    r"/(?![/\\])[!-\[\]-~]*"
).fullmatch  # printable ASCII without backslash, which browsers read as `/`
_reserved = re.compile(re.escape(PREFIX) + r"(?:[/?#]|$)", re.IGNORECASE).match
_dots = re.compile(r"/\.{1,2}(?:[/?#]|$)").search  # a browser takes them out, and may be at a page of sign-on then


class Ask(Protocol):
    """What is looked at of a request."""

    method: bytes
    path: bytes
    query: bytes

    @property
    def origin(self) -> bytes:
        """SCHEME://HOST[:PORT] as the client wrote it."""

    def header(self, name: bytes) -> list[bytes]:
        """All values of the field `name` (lower case), in order."""


def navigates(ask: Ask) -> bool:
    """Whether a person goes to a page, who can be sent to another; a program would take that for the answer."""
    return ask.method in (b"GET", b"HEAD") and wants_page(ask)


def sends_form(ask: Ask) -> bool:
    """Whether a person sends a form, and will see the answer."""
    if ask.method != b"POST" or not wants_page(ask):
        return False
    kinds = {kind.partition(b";")[0].strip().lower() for kind in ask.header(b"content-type")}
    return bool(ask.header(b"sec-fetch-mode")) or not kinds.isdisjoint(FORMS)


def wants_page(ask: Ask) -> bool:
    """Whether a person will see the answer, also to a form that another site's page sent."""
    mode = ask.header(b"sec-fetch-mode")
    if mode:
        return mode == [b"navigate"]
    accepted = b",".join(ask.header(b"accept")).lower()
    return b"text/html" in accepted and not ask.header(b"x-requested-with")


def same_origin(ask: Ask) -> bool:
    """Whether the request comes from a page of the same origin, or from the person (Fetch Metadata, RFC 6454 7). A
    browser says one of both of what is not safe; who says neither is not believed."""
    site = ask.header(b"sec-fetch-site")
    if site:
        return site in ([b"same-origin"], [b"none"])
    origin = ask.header(b"origin")
    return len(origin) == 1 and canonical(origin[0].decode("latin-1")) == canonical(ask.origin.decode("latin-1"))


def canonical(origin: str) -> str:
    """An origin in its one spelling; "" for what is none."""
    try:
        parts = urlsplit(origin)
        port = parts.port or PORTS[parts.scheme]
    except (ValueError, KeyError):
        return ""
    if not parts.hostname or parts.path or parts.query or parts.fragment or "@" in parts.netloc:
        return ""
    return f"{parts.scheme}://{parts.hostname.removesuffix('.')}:{port}"


def is_secure(origin: str) -> bool:
    """Whether cookies may be bound to https."""
    return origin.startswith("https://")


def is_safe(origin: str) -> bool:
    """Whether nobody on the way reads along: https, or this machine alone."""
    return is_secure(origin) or LOOPBACK(origin) is not None


def target_of(text: str | None) -> str:
    """Where a sign-on leads in the end: a path of the same origin, and no page of sign-on; `/` for anything else."""
    if text is None or len(text) > LONGEST_TARGET or not _target(text):
        return "/"
    path = unquote(re.split("[?#]", text, maxsplit=1)[0])
    return "/" if _reserved(path) or _dots(path) else text


def way_in(ask: Ask, better: Mapping[str, str] = NOTHING) -> str | None:
    """Where the sign-on begins that leads back to what was asked for, as well as it asks for; None: no person asks. A
    form is not sent again: a page says so, and leads back to where it was filled in."""
    form = sends_form(ask)
    if not form and not navigates(ask):
        return None
    asked = {"to": _referrer(ask) if form else "", **better}
    asked["to"] = asked["to"] or (ask.path + (b"?" + ask.query if ask.query else b"")).decode("latin-1")
    return f"{PREFIX}/{'unsent' if form else 'login'}?{urlencode(asked, safe='/', quote_via=quote)}"


def _referrer(ask: Ask) -> str:
    """Path and query of the page that the request comes from, if it is of the same origin; else ""."""
    values = ask.header(b"referer")
    try:
        parts = urlsplit(values[0].decode("ascii")) if len(values) == 1 else urlsplit("")
    except ValueError:
        return ""
    if canonical(f"{parts.scheme}://{parts.netloc}") != canonical(ask.origin.decode("latin-1")):
        return ""
    return parts.path + (f"?{parts.query}" if parts.query else "")
