"""A realm's published keys: kinds, Keycloak's key ids, rotation."""

from __future__ import annotations

import hashlib
from base64 import b64decode, urlsafe_b64encode

import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gateway.devkit.keys import KeyRing


@pytest.fixture(scope="module")
def ring() -> KeyRing:
    """To look at; tests that change one make their own."""
    return KeyRing()


def test_a_key_for_encryption_is_published_beside_those_for_signatures(ring: KeyRing) -> None:
    assert [(key["kty"], key["alg"], key["use"]) for key in ring.jwks()["keys"]] == [
        ("RSA", "RS256", "sig"),
        ("EC", "ES256", "sig"),
        ("RSA", "RSA-OAEP", "enc"),
    ]


def test_nothing_private_is_published(ring: KeyRing) -> None:
    shared = {"kid", "alg", "use", "kty"}
    rsa = shared | {"n", "e", "x5c", "x5t", "x5t#S256"}
    assert [set(key) for key in ring.jwks()["keys"]] == [rsa, shared | {"crv", "x", "y"}, rsa]


def test_kid_is_the_digest_of_the_public_key(ring: KeyRing) -> None:
    key = ring.active("ES256")
    der = key.private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert key.kid == urlsafe_b64encode(hashlib.sha256(der).digest()).rstrip(b"=").decode()


def test_x5c_carries_the_same_public_key(ring: KeyRing) -> None:
    key = ring.active("RS256")
    certificate = x509.load_der_x509_certificate(b64decode(key.jwk["x5c"][0]))
    assert certificate.public_key() == key.private.public_key()


def test_after_rotation_the_new_key_signs_and_the_old_one_still_verifies() -> None:
    ring = KeyRing()
    old_token = ring.sign({"n": 1}, "RS256", {})
    old = jwt.get_unverified_header(old_token)["kid"]
    new = ring.rotate()
    assert jwt.get_unverified_header(ring.sign({"n": 2}, "RS256", {}))["kid"] == new != old
    published = jwt.PyJWKSet.from_dict(ring.jwks())
    assert jwt.decode(old_token, published[old], ["RS256"]) == {"n": 1}


def test_a_removed_key_is_published_no_longer() -> None:
    ring = KeyRing()
    old = ring.active("RS256").kid
    ring.rotate()
    ring.remove(old)
    assert old not in {key["kid"] for key in ring.jwks()["keys"]}


def test_unknown_kids_and_algorithms_are_errors(ring: KeyRing) -> None:
    with pytest.raises(KeyError):
        ring.remove("nobody")
    with pytest.raises(KeyError):
        ring.active("HS256")
