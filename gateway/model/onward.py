"""What a service is told of who asks."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Telling(StrEnum):
    """What becomes of a request's credentials on their way to a service."""

    PASS = "pass"  # noqa: S105 - they go on as they came
    NONE = "none"  # they are taken out
    EXCHANGE = "exchange"  # another token of the same provider comes in their place (RFC 8693)
    TOKEN = "token"  # noqa: S105 - a token of the gateway's own comes in their place


@dataclass(frozen=True, slots=True, kw_only=True)
class Onward:
    """`audience` is whom the other token is for, `scope` what is asked for with it, `header` where it goes."""

    telling: Telling = Telling.PASS
    audience: str = ""
    scope: str | None = None
    header: str = "authorization"


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityTokens:
    """The gateway's own: their `iss`, the path of their keys, and for how many seconds a key signs."""

    issuer: str
    path: str
    rotate: int
