"""A client with a key, which makes tokens that are bound to it and DPoP proofs, good and bad ones."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

NOW = 1_800_000_000
URL = "https://api.example.com/orders"
_KINDS: dict[type, Any] = {
    rsa.RSAPrivateKey: jwt.algorithms.RSAAlgorithm,
    ec.EllipticCurvePrivateKey: jwt.algorithms.ECAlgorithm,
    ed25519.Ed25519PrivateKey: jwt.algorithms.OKPAlgorithm,
}
_MEMBERS = {"RSA": ("e", "kty", "n"), "EC": ("crv", "kty", "x", "y"), "OKP": ("crv", "kty", "x")}


def b64(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def without_none(members: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}


@dataclass
class Holder:
    """Who has a private key of an algorithm."""

    private: Any
    algorithm: str = "ES256"

    @property
    def jwk(self) -> dict[str, Any]:
        kind = next(kind for of, kind in _KINDS.items() if isinstance(self.private, of))
        jwk: dict[str, Any] = json.loads(kind.to_jwk(self.private.public_key()))
        jwk.pop("key_ops", None)
        return jwk

    @property
    def thumbprint(self) -> str:
        """RFC 7638, written here once more."""
        members = {name: self.jwk[name] for name in _MEMBERS[self.jwk["kty"]]}
        return b64(sha256(json.dumps(members, separators=(",", ":")).encode()).digest())

    @property
    def cnf(self) -> dict[str, str]:
        return {"jkt": self.thumbprint}

    def header(self, **changed: Any) -> dict[str, Any]:
        return without_none({"typ": "dpop+jwt", "alg": self.algorithm, "jwk": self.jwk, **changed})

    def claims(self, token: str, **changed: Any) -> dict[str, Any]:
        ath = b64(sha256(token.encode()).digest())
        made = {"jti": "proof-1", "htm": "GET", "htu": URL, "iat": NOW, "ath": ath}
        return without_none({**made, **changed})

    def proof(self, token: str, *, header: dict[str, Any] | None = None, **claims: Any) -> bytes:
        """For a token; keywords change claims, None removes one."""
        head, body = self.header(**(header or {})), self.claims(token, **claims)
        return self.sign(json.dumps(head).encode(), json.dumps(body).encode())

    def sign(self, header: bytes, payload: bytes) -> bytes:
        """A compact JWS of any bytes."""
        signed = f"{b64(header)}.{b64(payload)}"
        signature = jwt.get_algorithm_by_name(self.algorithm).sign(signed.encode(), self.private)
        return f"{signed}.{b64(signature)}".encode()
