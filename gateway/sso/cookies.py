"""The cookies of sign-on: a session's, and one for each sign-on that is under way (RFC 6265)."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable
from hashlib import sha256

from gateway.http.cookies import NAME, SECURE
from gateway.sso.browser import is_secure

_value = re.compile(rb"[A-Za-z0-9_-]{43}").fullmatch


def new_value() -> str:
    """256 bits that nobody guesses."""
    return secrets.token_urlsafe(32)


def digest(value: str) -> str:
    """What the store knows of a secret value."""
    return sha256(value.encode()).hexdigest()


def is_value(text: str | bytes) -> bool:
    """Whether it could be one that was made here."""
    return _value(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")) is not None


def session_name(origin: str) -> str:
    return f"{SECURE}{NAME}" if is_secure(origin) else NAME


def login_name(origin: str, state: str) -> str:
    """One for each sign-on, so that several tabs do not disturb each other."""
    return f"{session_name(origin)}-{digest(state)[:16]}"


def read(own_cookies: Iterable[bytes], name: str) -> list[str]:
    """The values that are given for a name, sound ones alone."""
    start = name.encode() + b"="
    found = (pair[len(start) :] for pair in own_cookies if pair.startswith(start))
    return [value.decode() for value in found if is_value(value)]


def written(origin: str, name: str, value: str, seconds: float | None = None) -> str:
    """A Set-Cookie field. `seconds` None: until the browser ends."""
    secure = "; Secure" if is_secure(origin) else ""
    age = "" if seconds is None else f"; Max-Age={int(seconds)}"
    return f"{name}={value}; Path=/; HttpOnly; SameSite=Lax{secure}{age}"


def removed(origin: str, name: str) -> str:
    """A Set-Cookie field that takes it away."""
    return written(origin, name, "", 0)
