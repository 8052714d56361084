"""Where the keys of all gateways are published: each tells the others its own, so that any of them may be asked."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Protocol

from gateway.identity.outward.signing_keys import Jwk, SigningKeys

KIND, OWNER = "signing", "gateways"
SOON = 5.0  # seconds for which what the store said is used
MEMBERS = ("kty", "crv", "x", "y", "kid", "use", "alg")


class Records(Protocol):
    """What is needed of the store's (see gateway.store.records)."""

    async def get(self, kind: str, name: str) -> bytes | None: ...

    async def put(self, kind: str, name: str, value: bytes, seconds: float) -> bool: ...

    async def index(self, kind: str, owner: str, name: str, seconds: float) -> None: ...

    async def listed(self, kind: str, owner: str) -> list[str]: ...


class Board:
    """Of one gateway. Private keys never leave its folder. A store that does not answer leaves what is known."""

    def __init__(
        self, keys: SigningKeys, records: Records, rotate: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`rotate` in seconds, for which a key signs: others are told of one as long as it may matter."""
        self._keys = keys
        self._records = records
        self._life = 2.0 * rotate
        self._clock = clock
        self._others: dict[str, Jwk] = {}
        self._looked = float("-inf")
        self._log = logging.getLogger("gateway.identity")

    async def keys(self) -> list[Jwk]:
        """Those of all gateways."""
        if self._clock() - self._looked > SOON:
            self._looked = self._clock()
            await self._tried(self._learn)
        own = self._keys.public()
        known = {jwk["kid"] for jwk in own}
        return [*own, *(jwk for kid, jwk in sorted(self._others.items()) if kid not in known)]

    async def tell(self) -> None:
        """Others of this gateway's keys; call it once a minute, as stores forget."""
        await self._tried(self._tell)

    async def _tried(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except Exception as error:  # whatever a store raises: services go on with the keys that they know
            self._log.debug("the keys of gateways cannot be shared: %s", error)

    async def _tell(self) -> None:
        for jwk in self._keys.public():
            await self._records.put(KIND, jwk["kid"], json.dumps(jwk).encode(), self._life)
            await self._records.index(KIND, OWNER, jwk["kid"], self._life)

    async def _learn(self) -> None:
        names = await self._records.listed(KIND, OWNER)
        found = {name: _read(await self._records.get(KIND, name)) for name in names}
        self._others = {name: jwk for name, jwk in found.items() if jwk is not None and jwk["kid"] == name}


def _read(value: bytes | None) -> Jwk | None:
    """Nothing but a public key of ours, however much else is there."""
    try:
        jwk = json.loads(value or b"")
        return {name: str(jwk[name]) for name in MEMBERS}
    except (ValueError, TypeError, KeyError):
        return None
