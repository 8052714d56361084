"""A realm's keys, published as Keycloak does: old ones until removed, one for encryption in the same set."""

from __future__ import annotations

import hashlib
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from gateway.devkit.certificates import self_signed

SIGNING = ("RS256", "ES256")
ENCRYPTION = "RSA-OAEP"


@dataclass(frozen=True, slots=True)
class Key:
    """A private key and the JWK (RFC 7517) that is published of it."""

    private: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
    jwk: Mapping[str, Any]

    @property
    def kid(self) -> str:
        return str(self.jwk["kid"])

    @property
    def algorithm(self) -> str:
        return str(self.jwk["alg"])


class KeyRing:
    """The newest key of an algorithm signs; every key is published until it is removed."""

    def __init__(self) -> None:
        self._keys = [make_key(algorithm) for algorithm in (*SIGNING, ENCRYPTION)]

    def active(self, algorithm: str) -> Key:
        """The key that signs with `algorithm`; raises KeyError where there is none."""
        for key in reversed(self._keys):
            if key.algorithm == algorithm:
                return key
        raise KeyError(algorithm)

    def rotate(self, algorithm: str = "RS256") -> str:
        """Sign with a new key from now on; returns its kid."""
        self._keys.append(make_key(algorithm))
        return self._keys[-1].kid

    def remove(self, kid: str) -> None:
        """Publish it no longer; raises KeyError for an unknown kid."""
        if kid not in {key.kid for key in self._keys}:
            raise KeyError(kid)
        self._keys = [key for key in self._keys if key.kid != kid]

    def jwks(self) -> dict[str, Any]:
        """The public halves: a JWK set (RFC 7517 section 5)."""
        return {"keys": [dict(key.jwk) for key in self._keys]}

    def sign(self, claims: Mapping[str, Any], algorithm: str, header: Mapping[str, Any]) -> str:
        """A compact JWS of `claims`; `header` adds to or replaces `typ` and `kid`."""
        key = self.active(algorithm)
        return jwt.encode(dict(claims), key.private, algorithm, {"kid": key.kid, **header})


def make_key(algorithm: str) -> Key:
    """A fresh key for RS256, ES256 or RSA-OAEP."""
    use = "enc" if algorithm == ENCRYPTION else "sig"
    if algorithm == "ES256":
        curve_key = ec.generate_private_key(ec.SECP256R1())
        public = ECAlgorithm.to_jwk(curve_key.public_key(), as_dict=True)
        return Key(curve_key, _jwk(curve_key, algorithm, use, public))
    private = rsa.generate_private_key(65537, 2048)
    public = RSAAlgorithm.to_jwk(private.public_key(), as_dict=True)
    return Key(private, _jwk(private, algorithm, use, public) | _x509(private))


def _jwk(
    private: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, algorithm: str, use: str, public: dict[str, Any]
) -> dict[str, Any]:
    """Keycloak's members; its kid is a digest of the public key."""
    der = private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    named = {"kid": _base64url(hashlib.sha256(der).digest()), "alg": algorithm, "use": use}
    return named | {name: value for name, value in public.items() if name != "key_ops"}


def _x509(private: rsa.RSAPrivateKey) -> dict[str, Any]:
    """Keycloak adds a self-signed certificate to RSA keys; nobody should take a key from it."""
    der = self_signed("demo", private, datetime.now(UTC)).public_bytes(Encoding.DER)
    return {
        "x5c": [b64encode(der).decode()],
        "x5t": _base64url(hashlib.sha1(der, usedforsecurity=False).digest()),
        "x5t#S256": _base64url(hashlib.sha256(der).digest()),
    }


def _base64url(octets: bytes) -> str:
    return urlsafe_b64encode(octets).rstrip(b"=").decode()
