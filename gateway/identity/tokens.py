"""Bearer tokens as credentials: found in Authorization, recognised, or given to the provider that issued them."""

from __future__ import annotations

import re
from collections.abc import Callable
from hashlib import sha256
from typing import NamedTuple

from gateway.identity.credentials import Ask, bearer
from gateway.identity.floods import Floods
from gateway.identity.provider import Provider
from gateway.identity.refusals import InvalidToken
from gateway.identity.token import TOKEN_BYTES, Token, parse
from gateway.identity.verifier import Answer, Item, Presented
from gateway.model import Identity

_JWS_DOTS = 2
_OBJECT = (b"ey", b"ew")  # how a JSON object begins in base64url
_opaque = re.compile(rb"[A-Za-z0-9._~+/-]+=*").fullmatch  # RFC 6750 2.1


class Unverified(NamedTuple):
    """A token that is not known yet, and whose it is, or says it is. `token` is None where only its provider can read
    it."""

    provider: Provider
    token: Token | None
    text: bytes
    digest: bytes


class TokenVerifier:
    """Tokens of one service's providers."""

    def __init__(self, providers: tuple[Provider, ...], floods: Floods, clock: Callable[[], float]) -> None:
        self._providers = [(provider, Item("jwt", provider.name)) for provider in providers]
        self._reading = next((pair for pair in self._providers if pair[0].reads_opaque), None)
        self._floods = floods
        self._clock = clock

    def present(self, ask: Ask) -> Presented | None:
        """A token that was verified before, or one that is parsed; the cheap checks are its provider's."""
        text = bearer(ask)
        if text is None:
            return None
        digest, now = sha256(text).digest(), self._clock()
        for provider, item in self._providers:
            identity = provider.cache.get(digest, now)
            if identity is not None:
                return Presented(item, identity)
        self._floods.check(ask.peer)
        if self._reading is not None and not (text.count(b".") == _JWS_DOTS and text.startswith(_OBJECT)):
            _require_opaque(text)
            return Presented(self._reading[1], None, Unverified(self._reading[0], None, text, digest))
        token = parse(text)
        provider, item = self._issuer(token)
        return Presented(item, None, Unverified(provider, token, text, digest))

    def verify(self, presented: Presented, _ask: Ask, done: Callable[[Answer], None]) -> Identity | None:
        provider, token, text, digest = presented.secret
        identity: Identity | None = provider.verify(token, text, digest, done)
        return identity

    def _issuer(self, token: Token) -> tuple[Provider, Item]:
        """Whose token it says it is; of providers that share an issuer, the one that its audience names."""
        for pair in self._providers:
            if pair[0].addressed(token):
                return pair
        for pair in self._providers:
            if pair[0].issued(token):
                return pair
        accepted = ", ".join(provider.issuer for provider, _ in self._providers)
        raise InvalidToken("issuer_wrong", "the token is from another issuer", hint=f"accepted here: {accepted}")


def _require_opaque(text: bytes) -> None:
    if len(text) > TOKEN_BYTES:
        raise InvalidToken("token_malformed", "the token is too large")
    if _opaque(text) is None:
        raise InvalidToken("token_malformed", "the token has characters that none may have")
