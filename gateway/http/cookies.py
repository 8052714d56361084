"""Cookies of the gateway's own among those that a browser sends, and among those that services set (RFC 6265).

Services on the same host never see them, and cannot set them.
"""

from __future__ import annotations

from gateway.http.fields import WHITESPACE

NAME = "plangate"  # begins the names of all; over https behind `__Host-`, which binds a cookie to host and https
SECURE = "__Host-"

_NAME = NAME.encode()
_OWN = (_NAME, SECURE.lower().encode() + _NAME)


def split(value: bytes) -> tuple[tuple[bytes, ...], bytes]:
    """The gateway's own, as NAME=VALUE, and the Cookie field that is left (empty: nothing is)."""
    if _NAME not in value.lower():
        return (), value
    pairs = [pair.strip(WHITESPACE) for pair in value.split(b";")]
    own = tuple(pair for pair in pairs if is_own(pair))
    return own, b"; ".join(pair for pair in pairs if pair and not is_own(pair))


def is_own(pair: bytes) -> bool:
    """Whether a pair, or a Set-Cookie field, has a name that is the gateway's, however it is spelt. A cookie without a
    name counts by its value, because a browser sends it as if it had one."""
    return pair.lstrip(b"= \t")[:32].lower().startswith(_OWN)
