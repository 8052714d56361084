"""What a session keeps is sealed by a key that the browser's cookie alone holds: who reads the store has no tokens."""

from __future__ import annotations

import hmac
import json
import secrets
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

NONCE = 12  # bytes (NIST SP 800-38D)


class Unsealed(Exception):
    """It was sealed by another key, or changed since."""


def seal(secret: str, beside: bytes, content: dict[str, Any]) -> bytes:
    """What stands `beside` it in clear cannot be changed without breaking the seal."""
    nonce = secrets.token_bytes(NONCE)
    return nonce + AESGCM(_key(secret)).encrypt(nonce, json.dumps(content).encode(), beside)


def unseal(secret: str, beside: bytes, sealed: bytes) -> dict[str, Any]:
    """Raises Unsealed."""
    try:
        content = AESGCM(_key(secret)).decrypt(sealed[:NONCE], sealed[NONCE:], beside)
    except (InvalidTag, ValueError) as error:
        raise Unsealed from error
    return json.loads(content)  # type: ignore[no-any-return]  # what was sealed here


def _key(secret: str) -> bytes:
    return hmac.digest(secret.encode(), b"plangate session", "sha256")
