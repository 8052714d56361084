"""Logout tokens that end nothing: what is changed of a good one (None: removed), and by which rule."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple


class Case(NamedTuple):
    name: str
    rule: str
    claims: Mapping[str, Any]
    header: Mapping[str, Any] = MappingProxyType({})


EVENT = "http://schemas.openid.net/event/backchannel-logout"

CASES = (
    Case("another issuer", "2.6 (4)", {"iss": "https://evil.example/realms/demo"}),
    Case("another audience", "2.6 (4)", {"aud": "mobile-app"}),
    Case("no audience", "2.4", {"aud": None}),
    Case("no time", "2.4", {"iat": None}),
    Case("a time that is a text", "2.4", {"iat": "1800000000"}),
    Case("issued in the future", "2.6 (4)", {"iat": 1_900_000_000}),
    Case("expired", "2.6 (4)", {"exp": 1_799_999_000}),
    Case("old, without an end", "2.6 (4)", {"iat": 1_799_999_000, "exp": None}),
    Case("neither session nor subject", "2.4", {"sid": None, "sub": None}),
    Case("a session that is a list", "2.4", {"sid": ["x"]}),
    Case("an empty session", "2.4", {"sid": ""}),
    Case("a subject with a line end", "2.4", {"sub": "a\r\nb"}),
    Case("no name of its own", "2.4", {"jti": None}),
    Case("a name that is a number", "2.4", {"jti": 7}),
    Case("no event", "2.6 (6)", {"events": None}),
    Case("another event", "2.6 (6)", {"events": {"http://schemas.openid.net/event/other": {}}}),
    Case("an event that is a text", "2.6 (6)", {"events": EVENT}),
    Case("an event without an object", "2.6 (6)", {"events": {EVENT: True}}),
    Case("a nonce, as ID tokens have", "2.6 (7)", {"nonce": "x"}),
    Case("an ID token", "RFC 8725 3.11", {"typ": "ID"}),
    Case("an access token", "RFC 8725 3.11", {"typ": "Bearer"}),
    Case("the header of an access token", "RFC 9068 2.1", {}, {"typ": "at+jwt"}),
    Case("an unknown key", "2.6 (2)", {}, {"kid": "unknown"}),
    Case("without a signature", "2.6 (2)", {}, {"alg": "none"}),
    Case("signed with the secret", "2.6 (2)", {}, {"alg": "HS256"}),
)
