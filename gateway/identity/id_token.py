"""What else a provider signs for the gateway itself: ID tokens (OpenID Connect Core 1.0, 3.1.3.7) and logout tokens
(OpenID Connect Back-Channel Logout 1.0, 2.6). Signatures are the provider's to verify."""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64encode
from hashlib import sha256, sha384, sha512
from typing import Any

from gateway.identity.claims import audiences, check_names, check_times, check_type
from gateway.identity.refusals import InvalidToken
from gateway.identity.token import Token

LOGOUT_EVENT = "http://schemas.openid.net/event/backchannel-logout"
LOGOUT_AGE = 300.0  # seconds for which a logout token without `exp` is taken

_HASHES = {"256": sha256, "384": sha384, "512": sha512}


def check_id_token(token: Token, issuer: str, client_id: str, now: float, *, nonce: str | None, code: str = "") -> None:
    """Everything but the signature; raises InvalidToken. `nonce` None: a refreshed one, which needs none. `code` is the
    authorization code that came with it."""
    claims = token.claims
    _check_issued(claims, issuer, client_id)
    if _kind(token) not in {None, "jwt"} or claims.get("typ", "ID") != "ID":
        raise InvalidToken("token_type_wrong", "the token is not an ID token")
    check_times(claims, now)
    check_names(claims)
    if claims.get("azp", client_id) != client_id or (len(audiences(claims)) > 1 and "azp" not in claims):
        raise InvalidToken("audience_wrong", "the ID token is for another client")
    if nonce is not None and not _same(claims.get("nonce"), nonce):
        raise InvalidToken("nonce_wrong", "the ID token is not of this sign-in")
    if "c_hash" in claims and code and not _same(claims["c_hash"], half_hash(code, token.algorithm)):
        raise InvalidToken("hash_wrong", "the ID token is not of this code")
    sid = claims.get("sid", "-")
    if not isinstance(sid, str) or not 0 < len(sid) <= 255 or not sid.isprintable():
        raise InvalidToken("token_malformed", "sid is not a name")


def check_access_hash(token: Token, access_token: str) -> None:
    """Whether the ID token came with this access token, where it says so (Core 3.1.3.8); raises InvalidToken."""
    at_hash = token.claims.get("at_hash")
    if at_hash is not None and not _same(at_hash, half_hash(access_token, token.algorithm)):
        raise InvalidToken("hash_wrong", "the ID token is not of this access token")


def check_own_access_token(token: Token, issuer: str, client_id: str, subject: str, now: float) -> None:
    """An access token that was issued to the gateway itself, whomever it is for; raises InvalidToken."""
    claims = token.claims
    if claims.get("iss") != issuer:
        raise InvalidToken("issuer_wrong", "the token is from another issuer")
    check_type(token.header, claims)
    check_times(claims, now)
    if claims.get("sub") != subject or claims.get("azp", claims.get("client_id")) != client_id:
        raise InvalidToken("token_mixed_up", "the access token is of another person or client than the ID token")


def check_logout_token(token: Token, issuer: str, client_id: str, now: float) -> None:
    """Everything but the signature and the replay; raises InvalidToken."""
    claims = token.claims
    _check_issued(claims, issuer, client_id)
    if _kind(token) not in {None, "jwt", "logout+jwt"} or claims.get("typ", "Logout") != "Logout":
        raise InvalidToken("token_type_wrong", "the token is not a logout token")
    if "nonce" in claims:  # which makes it an ID token
        raise InvalidToken("token_type_wrong", "a logout token has no nonce")
    _check_logout_times(claims, now)
    events = claims.get("events")
    if not isinstance(events, dict) or not isinstance(events.get(LOGOUT_EVENT), dict):
        raise InvalidToken("token_type_wrong", "the token does not tell of a logout")
    if "sid" not in claims and "sub" not in claims:
        raise InvalidToken("subject_missing", "the token names neither a session nor a subject")
    for name in ("sid", "sub", "jti"):
        value = claims.get(name, None if name == "jti" else "-")
        if not isinstance(value, str) or not 0 < len(value) <= 255 or not value.isprintable():
            raise InvalidToken("token_malformed", f"{name} is not a name")


def _check_logout_times(claims: dict[str, Any], now: float) -> None:
    if "iat" not in claims:
        raise InvalidToken("token_malformed", "iat is not a time")
    check_times({"exp": _end(claims), **claims}, now)


def _end(claims: dict[str, Any]) -> object:
    issued = claims["iat"]
    return issued + LOGOUT_AGE if type(issued) in (int, float) else issued


def _check_issued(claims: dict[str, Any], issuer: str, client_id: str) -> None:
    if claims.get("iss") != issuer:
        raise InvalidToken("issuer_wrong", "the token is from another issuer")
    if client_id not in audiences(claims):
        raise InvalidToken("audience_wrong", "the token is for another client")


def _kind(token: Token) -> str | None:
    kind = token.header.get("typ")
    return kind.lower().removeprefix("application/") if isinstance(kind, str) else None


def _same(claimed: object, expected: str) -> bool:
    return isinstance(claimed, str) and hmac.compare_digest(claimed.encode(errors="replace"), expected.encode())


def half_hash(text: str, algorithm: str) -> str:
    """The left half of the digest that the signature's algorithm uses; EdDSA's is SHA-512 (Core 3.1.3.6)."""
    digest = _HASHES.get(algorithm[2:], sha512)(text.encode()).digest()
    return urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=").decode()
