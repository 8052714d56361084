"""The keys that sign the gateway's own tokens (ES256), a file for each, by the calendar.

A key signs from its beginning, which is its file's name, until the next one's. The next is made, and published, when
its predecessor begins: a service that has looked since knows it. An ended one stays published for as long again. So
several processes agree without a word, whoever makes a file first.
"""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import os
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

PAUSE = 60.0  # seconds until a folder that cannot be used is tried again

log = logging.getLogger("gateway.identity")

Jwk = dict[str, str]


class SigningKey(NamedTuple):
    """`kid` is its thumbprint (RFC 7638)."""

    kid: str
    private: EllipticCurvePrivateKey

    @classmethod
    def of(cls, private: EllipticCurvePrivateKey) -> SigningKey:
        members = {name: jwk_members(private)[name] for name in ("crv", "kty", "x", "y")}
        text = json.dumps(members, separators=(",", ":"), sort_keys=True)
        return cls(_base64(sha256(text.encode()).digest()), private)

    def jwk(self) -> Jwk:
        """Its public half (RFC 7517)."""
        return {**jwk_members(self.private), "kid": self.kid, "use": "sig", "alg": "ES256"}


class SigningKeys:
    """Those in a folder. `rotate` and `clock` in seconds. Raises OSError for unusable files."""

    def __init__(self, folder: Path, rotate: int, clock: Callable[[], float]) -> None:
        self._folder = folder
        self._rotate = rotate
        self._clock = clock
        self._begins = -1  # of the current key
        self._again = 0.0  # when the folder is tried again
        self._keys: dict[int, SigningKey] = {}  # by their beginning

    def current(self) -> SigningKey:
        """The one that signs now."""
        now = self._clock()
        begins = int(now) // self._rotate * self._rotate
        if begins != self._begins and not 0 < self._again - now <= PAUSE:
            try:
                self._turn(begins)
            except OSError as error:
                if not self._keys:
                    raise
                self._again = now + PAUSE
                log.error("the next signing key cannot be had, the last one goes on: %s", error)
        return self._keys[self._begins]

    def public(self) -> list[Jwk]:
        """All that services may meet, now or soon."""
        self.current()
        return [key.jwk() for _, key in sorted(self._keys.items())]

    def _turn(self, begins: int) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        following = begins + self._rotate
        keys = {moment: self._made(moment) for moment in (begins, following)}
        for moment, path in self._files():
            if moment < begins - self._rotate:
                path.unlink(missing_ok=True)
            elif moment not in keys:
                keys[moment] = _read(path)
        self._keys, self._begins = keys, begins

    def _files(self) -> Iterator[tuple[int, Path]]:
        for path in self._folder.glob("*.pem"):
            if path.stem.isdecimal():
                yield int(path.stem), path

    def _made(self, moment: int) -> SigningKey:
        """Complete before it is there, and the first one wins."""
        path = self._folder / f"{moment}.pem"
        if not path.exists():
            new = self._folder / f"{moment}.{os.getpid()}.{os.urandom(4).hex()}.new"
            content = generate_private_key(SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            with contextlib.suppress(FileExistsError):
                os.link(new, path)
            new.unlink()
        return _read(path)


def _read(path: Path) -> SigningKey:
    try:
        private = load_pem_private_key(path.read_bytes(), password=None)
    except (ValueError, TypeError):
        private = None
    if not isinstance(private, EllipticCurvePrivateKey) or not isinstance(private.curve, SECP256R1):
        raise OSError(errno.EINVAL, "it holds no key of the curve P-256; delete it, and another is made", str(path))
    return SigningKey.of(private)


def jwk_members(private: EllipticCurvePrivateKey) -> Jwk:
    """RFC 7518 6.2.1."""
    numbers = private.public_key().public_numbers()
    x, y = (_base64(number.to_bytes(32, "big")) for number in (numbers.x, numbers.y))
    return {"kty": "EC", "crv": "P-256", "x": x, "y": y}


def _base64(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()
