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

from gateway.identity.bounds import Bound, bounds_of
from gateway.identity.revocations import Marks
from gateway.model import ApiKey, Application, Identity

PREFIX = "gwk_"  # tells secret scanners, and people, what it is
_PREFIX = PREFIX.encode()
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_BODY = 43  # 62**43 > 2**256
_CHECKSUM = 6  # 62**6 > 2**32
_DIGEST_BYTES = 32
TAG_LENGTH = 16
_LONGEST = len(PREFIX) + TAG_LENGTH + 1 + _BODY + _CHECKSUM


class NewKey(NamedTuple):
    """A key, to be shown once, and the digest to paste into the configuration."""

    key: str
    digest: str


def create(tag: str = "") -> NewKey:
    """A new key: prefix, `tag` (letters of `a-z0-9`, such as `test`) where given, 256 random bits and a CRC-32 of all
    that follows the prefix, in base 62.
    """
    body = (f"{tag}_" if tag else "") + _base62(secrets.randbits(256), _BODY)
    key = PREFIX + body + _checksum(body.encode())
    return NewKey(key, "sha256:" + sha256(key.encode()).hexdigest())


class Held(NamedTuple):
    """Whose a key is, one Identity for all its requests, and what is checked at each of them."""

    identity: Identity
    digest: str
    bounds: tuple[Bound, ...]


class ApiKeys:
    """Which application a key belongs to."""

    def __init__(self, applications: Iterable[Application], marks: Marks) -> None:
        """Raises ValueError for a digest that is none, or that two applications have."""
        self._held: dict[bytes, Held] = {}
        for application in applications:
            for key in application.api_keys:
                self._add(application, key, marks)

    def find(self, key: bytes) -> Held | None:
        """Whose key it is; None: nobody's."""
        return self._held.get(sha256(key).digest())

    def _add(self, application: Application, key: ApiKey, marks: Marks) -> None:
        digest = digest_of(key)
        if digest is None:
            raise ValueError(f"application {application.name}: an API key's digest is not sha256: and 64 hex digits")
        if digest in self._held:
            raise ValueError(f"application {application.name}: an API key is given twice")
        self._held[digest] = Held(identity_of(application, f"api_key:{key.shown}"), key.digest, bounds_of(key, marks))


def mistyped(key: bytes) -> bool:
    """Whether a key that begins as ours do lacks their length or checksum."""
    if not key.startswith(_PREFIX) or len(key) > _LONGEST:
        return key.startswith(_PREFIX)
    body, checksum = key[len(_PREFIX) : -_CHECKSUM], key[-_CHECKSUM:]
    whole = len(body.rpartition(b"_")[2]) == _BODY and checksum == _checksum(body).encode()
    return not whole


def _checksum(body: bytes) -> str:
    return _base62(crc32(body), _CHECKSUM)


def _base62(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, digit = divmod(number, 62)
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))


def identity_of(application: Application, *proof: str) -> Identity:
    """What a key proves: the application, and no user."""
    name = application.name
    return Identity(subject=f"application:{name}", application=name, proof=proof)


def digest_of(key: ApiKey) -> bytes | None:
    """None: it is not written as one."""
    kind, _, digits = key.digest.partition(":")
    try:
        digest = bytes.fromhex(digits)
    except ValueError:
        return None
    return digest if kind == "sha256" and len(digest) == _DIGEST_BYTES else None
