"""Nonces of DPoP proofs (RFC 9449 9): a proof with one was made lately, whatever the client's clock says.

A nonce is a keyed digest of the minute in which it was given, so that none has to be remembered. All gateways share the
key, which one of them made.
"""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64encode
from collections.abc import Callable
from typing import Protocol

PERIOD = 60  # seconds of one nonce; it is good in the next period too
REFRESH = 60.0  # seconds between looks whether the key is still the one that all have
BYTES = 16


class NonceKeys(Protocol):
    async def nonce_key(self) -> bytes:
        """The key that all gateways have, made where there is none yet. Raises GatewayError."""


class Nonces:
    """Use it in one event loop."""

    def __init__(self, keys: NonceKeys, clock: Callable[[], float]) -> None:
        self._keys = keys
        self._clock = clock
        self._key = b""
        self._again = 0.0

    async def current(self) -> str:
        """What a client is to put into its proofs now. Raises GatewayError, as `is_good`."""
        await self._refresh()
        return self._nonce(0)

    async def is_good(self, nonce: object) -> bool:
        """Whether it was given in this period or the one before."""
        await self._refresh()
        if not isinstance(nonce, str) or not nonce.isascii():
            return False
        return any(hmac.compare_digest(nonce, self._nonce(ago)) for ago in (0, 1))

    async def _refresh(self) -> None:
        now = self._clock()
        if not self._key or not 0 < self._again - now <= REFRESH:
            self._key = await self._keys.nonce_key()
            self._again = now + REFRESH

    def _nonce(self, ago: int) -> str:
        period = int(self._clock() // PERIOD) - ago
        digest = hmac.digest(self._key, b"%d" % period, "sha256")[:BYTES]
        return urlsafe_b64encode(digest).rstrip(b"=").decode()
