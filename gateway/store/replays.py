"""What must be used once, as the data path asks: first, or not; where nobody can say, 503."""

from __future__ import annotations

import secrets

from gateway.errors import Unavailable
from gateway.store import StoreError
from gateway.store.records import Records, Use

KIND = "dpop"
NONCES = "dpop-nonces", "key"  # the record of the key that nonces are made with
KEY_BYTES = 32
KEY_SECONDS = 365 * 86_400.0


class Replays:
    """Proofs of possession, over all gateways."""

    def __init__(self, records: Records) -> None:
        self._records = records

    async def is_first(self, name: str, seconds: float, made: float) -> bool:
        """Whether `name` was not used before; it is remembered for `seconds`. What was made before the store's memory
        begins (`made`, in Unix seconds) counts as used. Raises Unavailable."""
        try:
            return await self._records.once(KIND, name, seconds, made=made) is Use.FIRST
        except StoreError as error:
            raise _away() from error

    async def nonce_key(self) -> bytes:
        """The key that all gateways make nonces with; the first that asks makes it. Raises Unavailable."""
        try:
            await self._records.put(*NONCES, secrets.token_bytes(KEY_BYTES), KEY_SECONDS, only_new=True)
            key = await self._records.get(*NONCES)
        except StoreError as error:
            raise _away() from error
        if key is None:
            raise _away()
        return key


def _away() -> Unavailable:
    return Unavailable("what was used before cannot be told at the moment", code="identity_unavailable")
