"""Bearer tokens as credentials: found in Authorization, recognised, or given to the provider that issued them."""

from __future__ import annotations

import re
from collections.abc import Callable
from hashlib import sha256
from typing import NamedTuple

from gateway.errors import GatewayError
from gateway.identity.credentials import Ask, bearer, dpop
from gateway.identity.floods import Floods
from gateway.identity.possession import Possession, Shown
from gateway.identity.provider import Provider
from gateway.identity.refusals import Invalid, InvalidToken
from gateway.identity.token import TOKEN_BYTES, Token, parse
from gateway.identity.verifier import Answer, Item, Presented
from gateway.model import Identity

_JWS_DOTS = 2
_OBJECT = (b"ey", b"ew")  # how a JSON object begins in base64url
_opaque = re.compile(rb"[A-Za-z0-9._~+/-]+=*").fullmatch  # RFC 6750 2.1


class Secret(NamedTuple):
    """A token, how it was shown, and whose it is, or says it is. `known` is what it was verified to prove; `token` is
    None where only its provider can read it."""

    provider: Provider
    shown: Shown
    digest: bytes
    known: Identity | None = None
    token: Token | None = None


class TokenVerifier:
    """Tokens of one service's providers."""

    def __init__(
        self,
        providers: tuple[Provider, ...],
        floods: Floods,
        possession: Possession,
        clock: Callable[[], float],
    ) -> None:
        self._providers = [(provider, Item("jwt", provider.name)) for provider in providers]
        self._reading = next((pair for pair in self._providers if pair[0].reads_opaque), None)
        self._dpop = any(provider.dpop.use != "off" for provider in providers)
        self._floods = floods
        self._possession = possession
        self._clock = clock

    def present(self, ask: Ask) -> Presented | None:
        """A token that was verified before, or one that is parsed; the cheap checks are its provider's."""
        text, by_dpop = bearer(ask), False
        if text is None and self._dpop:
            text, by_dpop = dpop(ask), True
        if text is None:
            return None
        digest, now = sha256(text).digest(), self._clock()
        for provider, item in self._providers:
            entry = provider.cache.find(digest, now)
            if entry is not None and not entry.bound and not by_dpop:
                return Presented(item, entry.identity)
            if entry is not None:
                self._floods.check(ask.peer)
                return Presented(
                    item, None, Secret(provider, Shown(text, by_dpop, provider.dpop), digest, entry.identity)
                )
        self._floods.check(ask.peer)
        if self._reading is not None and not (text.count(b".") == _JWS_DOTS and text.startswith(_OBJECT)):
            _require_opaque(text)
            provider, item = self._reading
            return Presented(item, None, Secret(provider, Shown(text, by_dpop, provider.dpop), digest))
        token = parse(text)
        provider, item = self._issuer(token)
        return Presented(item, None, Secret(provider, Shown(text, by_dpop, provider.dpop), digest, token=token))

    def verify(self, presented: Presented, ask: Ask, done: Callable[[Answer], None]) -> Identity | None:
        """The token first, then what it is bound to."""
        secret: Secret = presented.secret

        def verified(answer: Answer) -> None:
            try:
                if not isinstance(answer, Identity):
                    raise answer
                identity = self._possession.check(answer, secret.shown, ask, done)
            except (Invalid, GatewayError) as error:
                done(error)
            else:
                if identity is not None:
                    done(identity)

        identity = secret.known
        if identity is None:
            identity = secret.provider.verify(secret.token, secret.shown.text, secret.digest, ask.peer, verified)
        return None if identity is None else self._possession.check(identity, secret.shown, ask, done)

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
