"""A compact JWS (RFC 7515), read strictly (RFC 8725): nothing is verified here.

Everything a lenient parser would let two readers understand differently is refused: base64url that is not canonical,
names given twice, numbers that are none, and sizes and depths beyond what an access token needs.
"""

from __future__ import annotations

import json
from binascii import Error as Base64Error
from binascii import a2b_base64
from sys import intern
from typing import Any, NamedTuple, NoReturn

from gateway.identity.refusals import InvalidToken

TOKEN_BYTES = 16_384  # Keycloak's with hundreds of roles stay below
HEADER_BYTES = 2_048
KID_LENGTH = 256
DEPTH = 16
NUMBER_DIGITS = 32

REFUSED_HEADERS = frozenset(
    {"crit", "b64", "jwk", "jku", "x5u", "x5c"}  # extensions that are not understood; keys brought by the token
)

_URLSAFE = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_STANDARD = _URLSAFE[:-2] + b"+/"
_TABLE = bytes(_STANDARD[_URLSAFE.index(byte)] if byte in _URLSAFE else ord("!") for byte in range(256))
_PADDING = (b"", None, b"==", b"=")
_LAST = (None, None, frozenset(b"AQgw"), frozenset(b"AEIMQUYcgkosw048"))  # whose unused bits are zero (RFC 4648 3.5)


class Token(NamedTuple):
    """A token's parts. `signed` is the signature's input."""

    algorithm: str
    kid: str | None
    header: dict[str, Any]
    claims: dict[str, Any]
    signed: bytes
    signature: bytes


def parse(token: bytes, *, refused: frozenset[str] = REFUSED_HEADERS) -> Token:
    """The token's parts; raises InvalidToken. `refused` are parameters that the header must not have."""
    if len(token) > TOKEN_BYTES:
        raise _malformed("the token is too large")
    parts = token.split(b".")
    if len(parts) != 3:
        raise _malformed("the token does not have three parts")
    if len(parts[0]) > HEADER_BYTES:
        raise _malformed("the token's header is too large")
    header = _object(parts[0])
    _check_header(header, refused)
    signed = token[: -len(parts[2]) - 1]
    return Token(header["alg"], header.get("kid"), header, _object(parts[1]), signed, _decoded(parts[2]))


def _check_header(header: dict[str, Any], refused: frozenset[str]) -> None:
    found = refused & header.keys()
    if found:
        raise InvalidToken("token_header_refused", f"the header parameter {min(found)} is not accepted")
    if not isinstance(header.get("alg"), str):
        raise _malformed("alg is not a string")
    kid = header.get("kid", "")
    if not isinstance(kid, str) or len(kid) > KID_LENGTH:
        raise _malformed("kid is not a short string")


def _object(part: bytes) -> dict[str, Any]:
    try:
        return json_object(_decoded(part))
    except ValueError as error:
        raise _malformed("the token holds something that is not strict JSON") from error


def _decoded(part: bytes) -> bytes:
    try:
        return base64url(part)
    except ValueError as error:
        raise _malformed("the token is not canonical base64url") from error


def base64url(text: bytes) -> bytes:
    """Decode base64url without padding (RFC 7515 2), canonical form only; raises ValueError."""
    padding, last = _PADDING[len(text) % 4], _LAST[len(text) % 4]
    if padding is None or (last is not None and text[-1] not in last):
        raise ValueError("not canonical base64url")
    try:
        return a2b_base64(text.translate(_TABLE) + padding, strict_mode=True)
    except Base64Error as error:
        raise ValueError("not base64url") from error


def json_object(data: bytes) -> dict[str, Any]:
    """A JSON object in UTF-8 with unique names, finite numbers and bounded depth; raises ValueError."""
    try:
        value = _DECODER.decode(data.decode())
    except RecursionError as error:
        raise ValueError("too deep") from error
    if not isinstance(value, dict):
        raise ValueError("not an object")
    if data.count(b"{") + data.count(b"[") > DEPTH and _too_deep(value):
        raise ValueError("too deep")
    return value


def _too_deep(value: object) -> bool:
    level = [value]
    for _ in range(DEPTH):
        level = [child for item in level for child in _children(item)]
        if not level:
            return False
    return True


def _children(value: object) -> list[object]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = {intern(name): value for name, value in pairs}  # tokens that are remembered share their names
    if len(members) != len(pairs):
        raise ValueError("a name is given twice")
    return members


def _finite(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise ValueError("a number is out of range")
    return number


def _integer(text: str) -> int:
    if len(text) > NUMBER_DIGITS:
        raise ValueError("a number is out of range")
    return int(text)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique, parse_float=_finite, parse_int=_integer, parse_constant=_no_constant
)


def _malformed(detail: str) -> InvalidToken:
    return InvalidToken("token_malformed", detail)
