"""Passport: what a request presents → one identity, or the reason why not.

The first `accept` line whose credentials are all present lets in. Every presented credential that the service's lines
name must be valid, also one that the line does not need, and all that is presented goes into the identity. Who presents
any is never anonymous.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from hashlib import sha256
from typing import NamedTuple

from gateway.errors import BadRequest, Forbidden, GatewayError, Unauthorized
from gateway.identity.api_keys import ApiKeys, mistyped
from gateway.identity.cache import TokenCache
from gateway.identity.credentials import Ask, Extractor, Presented
from gateway.identity.floods import Floods
from gateway.identity.keyring import Sleep
from gateway.identity.provider import Answer, Provider
from gateway.identity.refusals import Challenges, Invalid, InvalidToken, Reporter
from gateway.identity.token import Token, parse
from gateway.model import Application, Identity, KeyPlace, Oidc, Rate, Service

PAIRS = 20_000  # combinations of token and key remembered

Done = Callable[[Identity | GatewayError], None]
NOTHING = Presented(None, ())
_BEARER = (b"Bearer ", b"bearer ")


class Desk(NamedTuple):
    """What one service accepts, made once."""

    service: str
    extract: Extractor
    providers: tuple[Provider, ...]
    lines: tuple[frozenset[str | KeyPlace], ...]  # a provider's name, a key's place
    challenges: Challenges
    anonymous: Identity | None  # of those who come without credentials
    recall: TokenCache | None  # the only provider's, where nothing but its token is accepted


class Passport:
    """Implements `gate.Passport`. One object per configuration and event loop."""

    def __init__(
        self,
        providers: Mapping[str, Oidc],
        applications: Iterable[Application],
        *,
        tolerance: Rate | None = None,
        before: Passport | None = None,
        clock: Callable[[], float] = time.time,
        sleep: Sleep = asyncio.sleep,
        log: logging.Logger | None = None,
    ) -> None:
        """`clock` in Unix seconds. `tolerance` is for refused credentials from one address; None: of any number.
        Providers that have not changed since `before` go on, with keys and known tokens.

        Raises ValueError for a key's bad digest, OSError for a CA that cannot be read.
        """
        log = log or logging.getLogger("gateway.identity")
        self._clock = clock
        self._keys = ApiKeys(applications)
        known: Mapping[str, Provider] = {} if before is None else before._providers

        def provider(name: str, oidc: Oidc) -> Provider:
            old = known.get(name)
            return old if old and old.serves(oidc) else Provider(oidc, clock=clock, sleep=sleep, log=log)

        self._providers: dict[str, Provider] = {name: provider(name, oidc) for name, oidc in providers.items()}
        self._new = set(self._providers.values()).difference(known.values())
        self._reporter = Reporter(log, clock)
        self._floods = Floods(tolerance, clock)
        self._desks: dict[Service, Desk] = {}
        self._pairs: dict[tuple[Identity, Identity], Identity] = {}

    async def start(self) -> None:
        """Ask every new provider for its keys once, together; those that are away are asked on in the background."""
        await asyncio.gather(*(provider.start() for provider in self._new))

    async def close(self) -> None:
        """Stop the background work; whoever waits is answered."""
        await close_all(self._providers.values())

    def left(self, other: Passport) -> set[Provider]:
        """The providers that `other` does not go on with, to be closed."""
        return set(self._providers.values()).difference(other._providers.values())

    def problems(self) -> list[str]:
        """Why the gateway is not ready: providers without any keys."""
        named = ((name, provider.problem()) for name, provider in self._providers.items())
        return [f"identity {name}: {problem}" for name, problem in named if problem is not None]

    def identify(self, service: Service, ask: Ask, done: Done) -> Identity | None:
        """Who asks; None: `done` hears it later, exactly once. Raises GatewayError: see `refusals` for its codes."""
        desk = self._desks.get(service) or self._open(service)
        if desk.recall is not None:
            fields = ask.header(b"authorization")
            if len(fields) == 1 and fields[0][:7] in _BEARER:
                identity = desk.recall.get(sha256(fields[0][7:]).digest(), self._clock())
                if identity is not None:
                    return identity
        try:
            return self._identify(desk, ask, done)
        except Invalid as error:
            raise self._refusal(desk, ask, error) from error

    def _identify(self, desk: Desk, ask: Ask, done: Done) -> Identity | None:
        presented = desk.extract(ask)
        if desk.anonymous is not None and presented == NOTHING and not ask.header(b"authorization"):
            return desk.anonymous
        key = self._key(presented, ask.peer)
        places: set[KeyPlace | str] = {place for place, _ in presented.keys}
        if presented.token is None:
            _require_line(desk, places)
            return key
        digest = sha256(presented.token).digest()
        identity = self._recall(desk, places, digest)
        if identity is None:
            self._floods.check(ask.peer)
            token = parse(presented.token)
            provider = _issuer(desk, token)
            _require_line(desk, places | {provider.name})
            identity = provider.verify(token, digest, lambda answer: done(self._concluded(desk, ask, answer, key)))
        return None if identity is None else self._combined(identity, key)

    def _recall(self, desk: Desk, places: set[KeyPlace | str], digest: bytes) -> Identity | None:
        now = self._clock()
        for provider in desk.providers:
            identity = provider.cache.get(digest, now)
            if identity is not None:
                _require_line(desk, places | {provider.name})
                return identity
        return None

    def _key(self, presented: Presented, peer: str) -> Identity | None:
        """The identity of the presented keys, which must all be of one application."""
        found = None
        for _, key in presented.keys:
            identity = self._keys.find(key)
            if identity is None:
                self._floods.check(peer)
                detail = "the API key is mistyped or cut off" if mistyped(key) else "the API key is not valid"
                raise Invalid("api_key_invalid", detail)
            if found is not None and found.application != identity.application:
                raise Invalid("credentials_differ", "the credentials belong to different applications")
            found = found or identity
        return found

    def _concluded(self, desk: Desk, ask: Ask, answer: Answer, key: Identity | None) -> Identity | GatewayError:
        if isinstance(answer, Invalid):
            return self._refusal(desk, ask, answer)
        return self._combined(answer, key) if isinstance(answer, Identity) else answer

    def _combined(self, token: Identity, key: Identity | None) -> Identity:
        """Token and key together: one object for each pair, because the gate remembers by object."""
        if key is None:
            return token
        pair = (token, key)
        both = self._pairs.get(pair)
        if both is None:
            both = replace(token, application=key.application, proof=token.proof + key.proof)
            if len(self._pairs) >= PAIRS:
                del self._pairs[next(iter(self._pairs))]
            self._pairs[pair] = both
        return both

    def _refusal(self, desk: Desk, ask: Ask, error: Invalid) -> GatewayError:
        self._floods.refused(ask.peer, error.code)
        self._reporter.refused(desk.service, error.code, error.detail, error.hint)
        if error.code == "credentials_ambiguous":
            return BadRequest(error.detail, code=error.code)
        if error.code == "credentials_differ":
            return Forbidden(error.detail, code=error.code)
        told = isinstance(error, InvalidToken)
        challenges = desk.challenges.invalid(error.detail) if told else desk.challenges.missing()
        if not challenges:  # all is anonymous here, but who brings a credential
            return Forbidden("no application is registered for these credentials", code="no_application")
        return Unauthorized(error.detail, code=error.code, challenges=challenges)

    def _open(self, service: Service) -> Desk:
        accept = service.accept
        names = dict.fromkeys(line.jwt for line in accept if line.jwt is not None)
        providers = tuple(self._providers[name] for name in names)
        named = [line for line in accept if line.anonymous is None]
        lines = tuple(frozenset(item for item in (line.jwt, line.api_key) if item is not None) for line in named)
        if frozenset() in lines:
            raise ValueError(f"service {service.name}: an accept line names no credential")  # it would let anyone in
        alone = len(providers) == 1 and not any(line.api_key for line in accept)
        recall = providers[0].cache if alone else None
        anonymous = next((line.anonymous for line in accept if line.anonymous is not None), None)
        nobody = Identity(subject="", application=anonymous) if anonymous is not None else None
        desk = Desk(service.name, Extractor(accept), providers, lines, challenges_of(service), nobody, recall)
        self._desks[service] = desk
        return desk


async def close_all(providers: Iterable[Provider]) -> None:
    """Stop their background work; whoever waits is answered."""
    await asyncio.gather(*(provider.close() for provider in providers))


def _require_line(desk: Desk, presented: set[KeyPlace | str]) -> None:
    for line in desk.lines:
        if line <= presented:
            return
    raise Invalid("credentials_missing", "credentials are required")


def _issuer(desk: Desk, token: Token) -> Provider:
    """Whose token it says it is; of providers that share an issuer, the one that its audience names."""
    for provider in desk.providers:
        if provider.addressed(token):
            return provider
    for provider in desk.providers:
        if provider.issued(token):
            return provider
    accepted = ", ".join(provider.issuer for provider in desk.providers)
    raise InvalidToken("issuer_wrong", "the token is from another issuer", hint=f"accepted here: {accepted}")


def challenges_of(service: Service) -> Challenges:
    """What a service offers to those who come without credentials."""
    places = [line.api_key for line in service.accept if line.api_key is not None]
    return Challenges(
        service.name,
        bearer=any(line.jwt is not None for line in service.accept),
        basic=any(place.kind == "basic" for place in places),
        places=tuple(f'{place.kind}="{place.name}"' for place in places if place.kind != "basic"),
    )
