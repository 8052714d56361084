"""What must be used once, as the data path asks: first, or not; where nobody can say, 503."""

from __future__ import annotations

from gateway.errors import Unavailable
from gateway.store import StoreError
from gateway.store.records import Records, Use

KIND = "dpop"


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
            detail = "what was used before cannot be told at the moment"
            raise Unavailable(detail, code="identity_unavailable") from error
