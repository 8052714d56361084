"""DPoP proofs (RFC 9449): a client shows with each request that it has the key that its token is bound to.

Read as strictly as tokens are. A proof is for one method and URL, for one token, for a short time, and (see possession)
to be used once. What it proves is told by the key's thumbprint, which must be the token's.
"""

from __future__ import annotations

import json
import re
from base64 import urlsafe_b64encode
from hashlib import sha256
from typing import Any, NamedTuple

from cryptography.exceptions import InvalidSignature

from gateway.errors import BadRequest
from gateway.http.path import normalise
from gateway.identity.credentials import Ask
from gateway.identity.keys import usable_key
from gateway.identity.refusals import InvalidProof, InvalidToken
from gateway.identity.token import REFUSED_HEADERS, Token, parse
from gateway.model import Dpop

PROOF_BYTES = 8_192
JTI_LENGTH = 256
AHEAD = 10.0  # seconds that a client's clock may be ahead
NUMBERS = {"n": 683, "e": 4}  # characters of an RSA key's: 4096 bits and 24 bits, as more would cost too much to verify
MEMBERS = {"RSA": ("e", "kty", "n"), "EC": ("crv", "kty", "x", "y"), "OKP": ("crv", "kty", "x")}  # RFC 7638 3.2

_url = re.compile(r"(https?)://([^/?#@\s]+)(/[^?#\s]*)?(?:\?[^#\s]*)?(?:#\S*)?", re.IGNORECASE).fullmatch
_PORTS = {"http": ":80", "https": ":443"}


class Proof(NamedTuple):
    """What was proven: the key's thumbprint; what tells this proof from others; when it was made, in Unix seconds; and
    the nonce that it has, whatever that is."""

    thumbprint: str
    identifier: str
    made: float
    nonce: Any


def check_proof(ask: Ask, token: bytes, settings: Dpop, now: float) -> Proof:
    """The request's proof for a token (RFC 9449 4.3); raises InvalidProof."""
    proof = _read(ask)
    jwk = _verified(proof, settings)
    claims = proof.claims
    _check_target(claims, ask)
    if claims.get("ath") != digest_of(token):
        raise InvalidProof("dpop_proof_wrong", "the proof is for another token")
    made = _time(claims)
    if not now - settings.max_age - AHEAD <= made <= now + AHEAD:
        raise InvalidProof("dpop_proof_stale", "the proof was made too long ago, or in the future")
    thumbprint = thumbprint_of(jwk)
    return Proof(thumbprint, sha256(f"{thumbprint} {_jti(claims)}".encode()).hexdigest(), made, claims.get("nonce"))


def digest_of(data: bytes) -> str:
    """SHA-256 in base64url: of a token `ath`, of a certificate `x5t#S256`."""
    return urlsafe_b64encode(sha256(data).digest()).rstrip(b"=").decode()


def thumbprint_of(jwk: dict[str, Any]) -> str:
    """RFC 7638, of a key that is usable."""
    members = {name: jwk[name] for name in MEMBERS[jwk["kty"]]}
    return digest_of(json.dumps(members, separators=(",", ":"), ensure_ascii=False).encode())


def _read(ask: Ask) -> Token:
    fields = ask.header(b"dpop")
    if not fields:
        raise InvalidProof("dpop_proof_missing", "the token is bound to a key, and the request has no DPoP proof")
    if len(fields) > 1:
        raise _malformed("there is more than one DPoP proof")
    if len(fields[0]) > PROOF_BYTES:
        raise _malformed("the proof is too large")
    try:
        proof = parse(fields[0], refused=REFUSED_HEADERS - {"jwk"})
    except InvalidToken as error:
        raise _malformed(error.detail.replace("the token", "the proof")) from error
    if proof.header.get("typ") != "dpop+jwt":
        raise _malformed("the proof does not say that it is one")
    return proof


def _verified(proof: Token, settings: Dpop) -> dict[str, Any]:
    """The key, by which the proof is signed. Nothing is known of whose it is."""
    if proof.algorithm not in settings.algorithms:
        raise _malformed("the proof's algorithm is not accepted")
    jwk = proof.header.get("jwk")
    if not isinstance(jwk, dict) or any(len(str(jwk.get(name, ""))) > most for name, most in NUMBERS.items()):
        raise _malformed("the proof's key is not one that is taken")
    key = usable_key(jwk, (proof.algorithm,))
    if key is None:
        raise _malformed("the proof's key is not a public one for its algorithm")
    try:
        key.verifies[proof.algorithm](proof.signature, proof.signed)
    except InvalidSignature as error:
        raise InvalidProof("dpop_proof_wrong", "the proof's signature does not verify") from error
    return jwk


def _check_target(claims: dict[str, Any], ask: Ask) -> None:
    """`htm` letter by letter, `htu` as URLs are compared (RFC 3986 6.2.2, 6.2.3), without query and fragment."""
    if claims.get("htm") != ask.method.decode():
        raise InvalidProof("dpop_proof_wrong", "the proof is for another method")
    htu = claims.get("htu")
    if not isinstance(htu, str) or _target(htu) != _target(ask.origin.decode("latin-1"), ask.path):
        raise InvalidProof("dpop_proof_wrong", "the proof is for another URL")


def _target(url: str, path: bytes | None = None) -> tuple[str, str, bytes] | None:
    """Scheme, host and path in one spelling; None for what is no URL."""
    found = _url(url)
    if found is None:
        return None
    scheme, authority = found[1].lower(), found[2].lower()
    if path is None:
        try:
            path, _ = normalise((found[3] or "/").encode())
        except BadRequest:
            return None
    return scheme, authority.removesuffix(_PORTS[scheme]), path


def _time(claims: dict[str, Any]) -> float:
    value = claims.get("iat")
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _malformed("iat is not a time")
    return float(value)


def _jti(claims: dict[str, Any]) -> str:
    value = claims.get("jti")
    if not isinstance(value, str) or not 0 < len(value) <= JTI_LENGTH or not value.isprintable():
        raise _malformed("jti is not a short text")
    return value


def _malformed(detail: str) -> InvalidProof:
    return InvalidProof("dpop_proof_malformed", detail)
