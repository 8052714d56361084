"""API keys: made here, recognised by digest.

A key carries 256 random bits, so its plain SHA-256 gives nothing away: salts and slow hashes protect secrets that can
be guessed, and no one guesses this. A digest can therefore stand in a file and be looked up at once.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from hashlib import sha256
from typing import NamedTuple
from zlib import crc32

from gateway.model import Application, Identity

PREFIX = "gwk_"  # tells secret scanners, and people, what it is
_PREFIX = PREFIX.encode()
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_BODY = 43  # 62**43 > 2**256
_CHECKSUM = 6  # 62**6 > 2**32
_DIGEST_BYTES = 32


class NewKey(NamedTuple):
    """A key, to be shown once, and the digest to paste into the configuration."""

    key: str
    digest: str


def create() -> NewKey:
    """A new key: prefix, 256 random bits and a CRC-32 in base 62."""
    body = _base62(secrets.randbits(256), _BODY)
    key = PREFIX + body + _checksum(body.encode())
    return NewKey(key, "sha256:" + sha256(key.encode()).hexdigest())


class ApiKeys:
    """Which application a key belongs to: one Identity for each key, shared by all its requests."""

    def __init__(self, applications: Iterable[Application]) -> None:
        """Raises ValueError for a digest that is none, or that two applications have."""
        self._identities: dict[bytes, Identity] = {}
        for application in applications:
            for digest in application.api_keys:
                self._add(application, digest)

    def find(self, key: bytes) -> Identity | None:
        """Whose key it is; None: nobody's."""
        return self._identities.get(sha256(key).digest())

    def _add(self, application: Application, text: str) -> None:
        digest = _digest(text)
        if digest is None:
            raise ValueError(f"application {application.name}: an API key's digest is not sha256: and 64 hex digits")
        if digest in self._identities:
            raise ValueError(f"application {application.name}: an API key is given twice")
        name = application.name
        self._identities[digest] = Identity(subject=f"application:{name}", application=name, proof=("api_key",))


def mistyped(key: bytes) -> bool:
    """Whether a key that begins as ours do lacks their length or checksum."""
    body, checksum = key[len(_PREFIX) : -_CHECKSUM], key[-_CHECKSUM:]
    whole = len(key) == len(_PREFIX) + _BODY + _CHECKSUM and checksum == _checksum(body).encode()
    return key.startswith(_PREFIX) and not whole


def _checksum(body: bytes) -> str:
    return _base62(crc32(body), _CHECKSUM)


def _base62(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, digit = divmod(number, 62)
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))


def _digest(text: str) -> bytes | None:
    kind, _, digits = text.partition(":")
    try:
        digest = bytes.fromhex(digits)
    except ValueError:
        return None
    return digest if kind == "sha256" and len(digest) == _DIGEST_BYTES else None
