"""One token issuer: a parsed token in, an identity out."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from gateway.errors import Unavailable
from gateway.identity.cache import Entry, TokenCache
from gateway.identity.calls import OnCall, nobody
from gateway.identity.channel import Channel
from gateway.identity.claims import Rules, audiences, check, check_told, identity_of
from gateway.identity.introspection import RETRY_AFTER, Introspector, Told
from gateway.identity.jwks import Source
from gateway.identity.keyring import KeyRing, Sleep
from gateway.identity.keys import Key, KeySet
from gateway.identity.outward.exchange import Exchanger
from gateway.identity.refusals import Invalid, InvalidToken
from gateway.identity.revocations import Marks, require_valid
from gateway.identity.token import Token
from gateway.model import ASYMMETRIC, Identity, Oidc

HIMSELF = "provider"  # stands for an address where the provider itself brings a token
OPAQUE, LIGHTWEIGHT, EVERY = "opaque", "lightweight", "all"  # which tokens a provider is asked about

Answer = Identity | Invalid | Unavailable
Done = Callable[[Answer], None]


class Provider:
    """An issuer's checks, keys and verified tokens."""

    def __init__(
        self,
        oidc: Oidc,
        *,
        clock: Callable[[], float],
        log: logging.Logger,
        sleep: Sleep = asyncio.sleep,
        marks: Marks,
        on_call: OnCall = nobody,
    ) -> None:
        """`on_call` counts what is asked of it."""
        self._oidc, self._ca = oidc, _content(oidc)
        self.name = oidc.name
        self.issuer = oidc.issuer
        self.dpop = oidc.dpop
        self.cache = TokenCache(marks=marks)
        self._marks = marks
        self._rules = Rules.of(oidc)
        self._algorithms = frozenset(oidc.algorithms or ASYMMETRIC)
        self._clock = clock
        self._source = Source(oidc)
        channel = self._source.channel
        self.exchanger = None
        if oidc.exchange is not None:
            self.exchanger = Exchanger(oidc.name, channel, oidc.exchange, clock=clock, log=log, on_call=on_call)
        self._introspector, self._told = None, frozenset[str]()
        if oidc.introspection is not None:
            asks = oidc.introspection
            self._introspector = Introspector(oidc.name, channel, asks, clock=clock, log=log, on_call=on_call)
            self._told = frozenset(oidc.introspection.tokens)
        self._ring = KeyRing(oidc.name, self._source, self._changed, clock=clock, sleep=sleep, log=log, on_call=on_call)

    @property
    def channel(self) -> Channel:
        """To be used while it is open."""
        return self._source.channel

    def serves(self, oidc: Oidc) -> bool:
        """Whether it is what would be made of this, its CA's certificates included. Raises OSError."""
        return self._oidc == oidc and self._ca == _content(oidc)

    async def start(self) -> None:
        """Try to fetch the keys; if the provider is away, go on trying in the background."""
        await self._ring.start()

    async def close(self) -> None:
        await self._ring.close()
        if self._introspector is not None:
            await self._introspector.close()
        if self.exchanger is not None:
            await self.exchanger.close()
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

    @property
    def reads_opaque(self) -> bool:
        """Whether it can be asked about tokens that nobody else can read."""
        return not self._told.isdisjoint((OPAQUE, EVERY))

    def check_signature(self, token: Token) -> None:
        """That alone, by the keys at hand. Raises InvalidToken or Unavailable."""
        if not self._ring.keys:
            raise Unavailable("the provider's keys are not known", code="identity_unavailable", retry_after=RETRY_AFTER)
        self._ring.keys.verify(token)

    def verify(self, token: Token | None, text: bytes, digest: bytes, peer: str, done: Done) -> Identity | None:
        """Who the token of an address proves; None: `done` hears it later, once. Raises InvalidToken or Unavailable.
        `token` is None for an opaque one.

        The cheap checks come first, so that a token which could never pass costs no signature and no fetch.
        """
        if token is None:
            self._ask(None, text, digest, None, done)
            return None
        if token.algorithm not in self._algorithms:
            raise InvalidToken("algorithm_refused", "the token's algorithm is not accepted")
        asks = self._asks_about(token)
        check(token, self._rules, self._clock(), whole=not asks)
        if self._asks_again(token, peer, lambda: self._go_on(token, text, digest, peer, done)):
            return None
        return self._verified(token, text, digest, peer, done)

    def _asks_about(self, token: Token) -> bool:
        """Whether its provider has to tell the rest."""
        return EVERY in self._told or (LIGHTWEIGHT in self._told and "aud" not in token.claims)

    async def prove(self, token: Token) -> None:
        """The signature of what is no access token; the provider is asked for new keys. Raises InvalidToken or
        Unavailable."""
        if token.algorithm not in self._algorithms:
            raise InvalidToken("algorithm_refused", "the token's algorithm is not accepted")
        asked = asyncio.Event()
        if self._asks_again(token, HIMSELF, asked.set):
            await asked.wait()
        self._keys(token, HIMSELF).verify(token)

    def _keys(self, token: Token, peer: str) -> KeySet:
        """Those that settle whether the token verifies; raises Unavailable."""
        keys = self._ring.keys
        if not keys or not self._ring.settles(token.kid, peer):
            detail = "tokens cannot be verified at the moment"
            raise Unavailable(detail, code="identity_unavailable", retry_after=RETRY_AFTER)
        return keys

    def _asks_again(self, token: Token, peer: str, done: Callable[[], None]) -> bool:
        keys, kid = self._ring.keys, token.kid
        return bool(keys) and kid is not None and not keys.knows(kid) and self._ring.refetch(kid, peer, done)

    def _go_on(self, token: Token, text: bytes, digest: bytes, peer: str, done: Done) -> None:
        try:
            identity = self._verified(token, text, digest, peer, done)
        except (Invalid, Unavailable) as error:
            done(error)
        else:
            if identity is not None:
                done(identity)

    def _verified(self, token: Token, text: bytes, digest: bytes, peer: str, done: Done) -> Identity | None:
        key = self._keys(token, peer).verify(token)
        if self._asks_about(token):
            self._ask(token, text, digest, key, done)
            return None
        return self._known(token.claims, digest, key, float("inf"))

    def _ask(self, token: Token | None, text: bytes, digest: bytes, key: Key | None, done: Done) -> None:
        """Has the provider tell of it. What it said is believed for a while."""
        assert self._introspector is not None and self._oidc.introspection is not None
        believed = self._oidc.introspection.max_age

        def told(answer: Told) -> None:
            if not isinstance(answer, dict):
                done(answer)
                return
            now = self._clock()
            try:
                identity = self._known(check_told(answer, self._rules, now, token), digest, key, now + believed)
            except (Invalid, Unavailable) as error:
                done(error)
            else:
                done(identity)

        self._introspector.ask(text, digest, told)

    def _known(self, claims: dict[str, Any], digest: bytes, key: Key | None, until: float) -> Identity:
        """Raises InvalidToken for what was revoked, Unavailable where that cannot be told."""
        require_valid(self._marks, claims, digest)
        identity = identity_of(claims, self.name)
        expires, by = min(identity.expires, until), None if key is None else key.identity
        bound = "cnf" in claims or self.dpop.use == "required"
        entry = Entry(identity, expires, by, self._marks.version, bound=bound)
        self.cache.put(digest, entry, self._clock())
        return identity

    def _changed(self, keys: KeySet) -> None:
        self.cache.retain(keys.identities)


def _content(oidc: Oidc) -> bytes:
    return b"" if oidc.ca is None else oidc.ca.read_bytes()
