"""ID tokens that prove nothing to the gateway: what is changed of a good one (None: removed), and why that is refused.

`@` begins a value that the test makes.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple


class Case(NamedTuple):
    name: str
    rule: str
    claims: Mapping[str, Any]
    header: Mapping[str, Any] = MappingProxyType({})


FAR = 10**9

CASES = (
    Case("another issuer", "Core 3.1.3.7 (2)", {"iss": "https://evil.example/realms/demo"}),
    Case("the issuer with a slash", "Core 3.1.3.7 (2)", {"iss": "@issuer/"}),
    Case("no issuer", "Core 2", {"iss": None}),
    Case("another audience", "Core 3.1.3.7 (3)", {"aud": "mobile-app"}),
    Case("no audience", "Core 2", {"aud": None}),
    Case("an empty audience", "Core 3.1.3.7 (3)", {"aud": []}),
    Case("an audience that is a number", "RFC 7519 4.1.3", {"aud": 1}),
    Case("audiences without azp", "Core 3.1.3.7 (4)", {"aud": ["gateway-web", "mobile-app"], "azp": None}),
    Case(
        "another client's, for us too", "Core 3.1.3.7 (5)", {"aud": ["gateway-web", "mobile-app"], "azp": "mobile-app"}
    ),
    Case("expired", "Core 3.1.3.7 (9)", {"exp": 1_799_999_000}),
    Case("no end", "Core 2", {"exp": None}),
    Case("an end that is a text", "RFC 7519 4.1.4", {"exp": "1900000000"}),
    Case("an end that is true", "RFC 7519 4.1.4", {"exp": True}),
    Case("issued in the future", "Core 3.1.3.7 (10)", {"iat": 1_800_000_000 + FAR}),
    Case("not valid yet", "RFC 7519 4.1.5", {"nbf": 1_800_000_000 + FAR}),
    Case("no nonce", "Core 3.1.3.7 (11)", {"nonce": None}),
    Case("another nonce (replay)", "Core 3.1.3.7 (11)", {"nonce": "A" * 43}),
    Case("a nonce that is a list", "Core 3.1.3.7 (11)", {"nonce": ["A" * 43]}),
    Case("no subject", "Core 2", {"sub": None}),
    Case("an empty subject", "Core 2", {"sub": ""}),
    Case("a subject of 256 characters", "Core 2", {"sub": "a" * 256}),
    Case("a subject with a line end", "Core 2", {"sub": "a\r\nb"}),
    Case("another person than the access token's", "Core 5.3.2", {"sub": "mallory"}),
    Case("the hash of another access token", "Core 3.1.3.8", {"at_hash": "A" * 22}),
    Case("a hash that is a number", "Core 3.1.3.8", {"at_hash": 1}),
    Case("the hash of another code", "Core 3.3.2.10", {"c_hash": "A" * 22}),
    Case("an access token", "RFC 8725 3.11", {"typ": "Bearer"}),
    Case("a logout token", "RFC 8725 3.11", {"typ": "Logout"}),
    Case("a session that is no name", "Back-Channel 2.1", {"sid": ["x"]}),
    Case("the header of an access token", "RFC 9068 2.1", {}, {"typ": "at+jwt"}),
    Case("the header of a logout token", "Back-Channel 2.4", {}, {"typ": "logout+jwt"}),
    Case("a key in the header", "RFC 8725 3.12", {}, {"jwk": {"kty": "oct", "k": "AA"}}),
    Case("an address of keys in the header", "RFC 8725 3.10", {}, {"jku": "https://evil.example/jwks"}),
    Case("an unknown key", "RFC 7515 4.1.4", {}, {"kid": "unknown"}),
    Case("an extension", "RFC 7515 4.1.11", {}, {"crit": ["x"], "x": 1}),
    Case("without a signature", "RFC 8725 3.2", {}, {"alg": "none"}),
    Case("signed with the secret", "RFC 8725 3.1", {}, {"alg": "HS256"}),
)
