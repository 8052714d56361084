"""One token issuer: a parsed token in, an identity out."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from gateway.errors import Unavailable
from gateway.identity.cache import Entry, TokenCache
from gateway.identity.claims import Rules, audiences, check, identity_of
from gateway.identity.jwks import Source
from gateway.identity.keyring import KeyRing, Sleep
from gateway.identity.keys import KeySet
from gateway.identity.refusals import Invalid, InvalidToken
from gateway.identity.token import Token
from gateway.model import ASYMMETRIC, Identity, Oidc

RETRY_AFTER = 5  # seconds, told with 503

Answer = Identity | Invalid | Unavailable


class Provider:
    """An issuer's checks, keys and verified tokens."""

    def __init__(
        self, oidc: Oidc, *, clock: Callable[[], float], log: logging.Logger, sleep: Sleep = asyncio.sleep
    ) -> None:
        self._oidc, self._ca = oidc, _content(oidc)
        self.name = oidc.name
        self.issuer = oidc.issuer
        self.cache = TokenCache()
        self._rules = Rules.of(oidc)
        self._algorithms = frozenset(oidc.algorithms or ASYMMETRIC)
        self._clock = clock
        self._source = Source(oidc)
        self._ring = KeyRing(oidc.name, self._source, self._changed, clock=clock, sleep=sleep, log=log)

    def serves(self, oidc: Oidc) -> bool:
        """Whether it is what would be made of this, its CA's certificates included. Raises OSError."""
        return self._oidc == oidc and self._ca == _content(oidc)

    async def start(self) -> None:
        """Try to fetch the keys; if the provider is away, go on trying in the background."""
        await self._ring.start()

    async def close(self) -> None:
        await self._ring.close()
        await self._source.aclose()

    def problem(self) -> str | None:
        """Why no token of this issuer can be verified, if so."""
        return self._ring.problem()

    def issued(self, token: Token) -> bool:
        """Whether the token says that it is from this issuer."""
        return bool(token.claims.get("iss") == self.issuer)

    def addressed(self, token: Token) -> bool:
        """Whether the token, besides, says that it is for this provider's audience."""
        return self.issued(token) and not self._rules.audience.isdisjoint(audiences(token.claims))

    def verify(self, token: Token, digest: bytes, done: Callable[[Answer], None]) -> Identity | None:
        """Who the token proves; None: `done` hears it later, once. Raises InvalidToken or Unavailable.

        The cheap checks come first, so that a token which could never pass costs no signature and no fetch.
        """
        if token.algorithm not in self._algorithms:
            raise InvalidToken("algorithm_refused", "the token's algorithm is not accepted")
        check(token, self._rules, self._clock())
        if self._asks_again(token, lambda: done(self._answer(token, digest))):
            return None
        return self._verified(token, digest)

    def _asks_again(self, token: Token, done: Callable[[], None]) -> bool:
        keys, kid = self._ring.keys, token.kid
        return bool(keys) and kid is not None and not keys.knows(kid) and self._ring.refetch(kid, done)

    def _answer(self, token: Token, digest: bytes) -> Answer:
        try:
            return self._verified(token, digest)
        except (Invalid, Unavailable) as error:
            return error

    def _verified(self, token: Token, digest: bytes) -> Identity:
        keys = self._ring.keys
        if not keys or not self._ring.settles(token.kid):
            detail = "tokens cannot be verified at the moment"
            raise Unavailable(detail, code="identity_unavailable", retry_after=RETRY_AFTER)
        key = keys.verify(token)
        identity = identity_of(token.claims, self.name)
        self.cache.put(digest, Entry(identity, identity.expires, key.identity), self._clock())
        return identity

    def _changed(self, keys: KeySet) -> None:
        self.cache.retain(keys.identities)


def _content(oidc: Oidc) -> bytes:
    return b"" if oidc.ca is None else oidc.ca.read_bytes()
