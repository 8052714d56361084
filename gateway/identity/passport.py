"""Passport: what a request presents → one identity, or the reason why not.

The first `accept` line whose credentials are all present lets in. Every presented credential that the service's lines
name must be valid, also one that the line does not need, and all that is presented goes into the identity. Who presents
any is never anonymous.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from types import MappingProxyType
from typing import NamedTuple

from gateway.errors import BadRequest, Forbidden, GatewayError, Unauthorized, forget_way
from gateway.identity.api_keys import ApiKeys
from gateway.identity.app_ids import AppIds, AppIdVerifier
from gateway.identity.cache import TokenCache
from gateway.identity.calls import OnCall, nobody
from gateway.identity.certificates import CertificateVerifier, Issuer
from gateway.identity.credentials import Ask, is_by_dpop
from gateway.identity.floods import Floods
from gateway.identity.key_verifier import KeyVerifier
from gateway.identity.keyring import Sleep
from gateway.identity.outward.exchange import Exchanger
from gateway.identity.possession import Possession, Replays
from gateway.identity.provider import Provider
from gateway.identity.refusals import (
    FORBIDDEN,
    Challenges,
    Invalid,
    InvalidProof,
    InvalidToken,
    NonceRequired,
    Reporter,
)
from gateway.identity.revocations import Marks, NoMarks
from gateway.identity.tokens import TokenVerifier
from gateway.identity.verifier import Answer, Item, Pairs, Presented, Sessions, SignOn, Verifier, lines_of
from gateway.model import Accept, Application, ClientCertificates, Identity, Oidc, Rate, Service

Done = Callable[[Identity | GatewayError], None]
Rest = Iterator[tuple[Verifier, Presented]]
CURED_BY_SIGN_IN = ("credentials_missing", "session_ended", "sign_in_elsewhere")
_BEARER = (b"Bearer ", b"bearer ")


class Desk(NamedTuple):
    """What one service accepts, made once."""

    service: str
    verifiers: tuple[Verifier, ...]  # whose identity is joined to the next one's, so those of users come last
    lines: tuple[frozenset[Item], ...]
    challenges: Challenges
    anonymous: Identity | None  # of those who come without credentials
    recall: TokenCache | None  # the only provider's, where nothing but its token is accepted
    sessions: Sessions | None  # where nothing else is accepted


class Passport:
    """Implements `gate.Passport`. One object per configuration and event loop."""

    def __init__(
        self,
        providers: Mapping[str, Oidc],
        applications: Iterable[Application],
        *,
        certificates: Mapping[str, ClientCertificates] = MappingProxyType({}),
        tolerance: Rate | None = None,
        marks: Marks | None = None,
        replays: Replays | None = None,
        sign_on: SignOn | None = None,
        before: Passport | None = None,
        clock: Callable[[], float] = time.time,
        sleep: Sleep = asyncio.sleep,
        log: logging.Logger | None = None,
        on_call: OnCall = nobody,
    ) -> None:
        """`clock` in Unix seconds. `tolerance` is for refused credentials from one address; None: of any number.
        `marks` tell what was revoked, `replays` what was used before; `on_call` counts what providers are asked.
        Providers that have not changed since `before` go on, with keys and known tokens.

        Raises ValueError for a key's bad digest or an unusable CA of clients, OSError for a CA that cannot be read.
        """
        log = log or logging.getLogger("gateway.identity")
        self._clock = clock
        marks = NoMarks() if marks is None else marks
        applications = tuple(applications)
        self._issuers = {
            name: Issuer(issued, applications, marks=marks, clock=clock, log=log)
            for name, issued in certificates.items()
        }
        self._keys, self._app_ids = ApiKeys(applications, marks), AppIds(applications, marks)
        self.uses: dict[str, float] = {} if before is None else before.uses  # a key's digest → when it was used
        known: Mapping[str, Provider] = {} if before is None else before._providers

        def provider(name: str, oidc: Oidc) -> Provider:
            old = known.get(name)
            if old is not None and old.serves(oidc):
                return old
            return Provider(oidc, clock=clock, sleep=sleep, log=log, marks=marks, on_call=on_call)

        self._providers: dict[str, Provider] = {name: provider(name, oidc) for name, oidc in providers.items()}
        self._new = set(self._providers.values()).difference(known.values())
        self._reporter = Reporter(log, clock)
        self._floods = Floods(tolerance, clock)
        self._possession = Possession(replays, clock)
        self._sign_on = sign_on
        self._desks: dict[Service, Desk] = {}
        self._pairs = Pairs()

    async def start(self) -> None:
        """Ask every new provider for its keys once, together; those that are away are asked on in the background."""
        await asyncio.gather(*(provider.start() for provider in self._new))

    async def close(self) -> None:
        """Stop the background work; whoever waits is answered."""
        await close_all(self._providers.values())

    def left(self, other: Passport) -> set[Provider]:
        """The providers that `other` does not go on with, to be closed."""
        return set(self._providers.values()).difference(other._providers.values())

    def provider(self, name: str) -> Provider:
        """Raises KeyError for one that there is not."""
        return self._providers[name]

    def exchanger(self, name: str) -> Exchanger | None:
        """Who exchanges the tokens of a provider."""
        provider = self._providers.get(name)
        return None if provider is None else provider.exchanger

    def take_uses(self) -> dict[str, float]:
        """When keys were used, by digest, in Unix seconds: those that were since this was asked last."""
        taken = dict(self.uses)
        self.uses.clear()  # the same object, as verifiers have it
        return taken

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
                identity = desk.recall.recognise(fields[0], self._clock())
                if identity is not None:
                    return identity
        elif desk.sessions is not None and ask.own_cookies:
            known = desk.sessions.recall(ask)
            if known is not None:
                return known
        try:
            return self._identify(desk, ask, done)
        except Invalid as error:
            raise self._refusal(desk, ask, error) from error

    def challenges(self, service: Service) -> tuple[str, ...]:
        """What a service offers to those who come without credentials; empty: it takes none."""
        return (self._desks.get(service) or self._open(service)).challenges.missing()

    def _identify(self, desk: Desk, ask: Ask, done: Done) -> Identity | None:
        presented = [(verifier, found) for verifier in desk.verifiers if (found := verifier.present(ask)) is not None]
        if not presented and desk.anonymous is not None and not ask.header(b"authorization"):
            return desk.anonymous
        _require_line(desk, {found.item for _, found in presented})
        return self._prove(desk, ask, None, iter(presented), done)

    def _prove(self, desk: Desk, ask: Ask, proven: Identity | None, rest: Rest, done: Done) -> Identity | None:
        """Joins what the rest prove to what is proven; goes on later where one must wait."""
        for verifier, presented in rest:
            identity = presented.identity
            if identity is None:
                identity = verifier.verify(presented, ask, self._heard(desk, ask, proven, rest, done))
            if identity is None:
                return None
            proven = self._pairs.join(proven, identity)
        return proven

    def _heard(self, desk: Desk, ask: Ask, proven: Identity | None, rest: Rest, done: Done) -> Callable[[Answer], None]:
        """Goes on with what the others prove, once a verifier has answered."""

        def heard(answer: Answer) -> None:
            try:
                if not isinstance(answer, Identity):
                    raise answer
                identity = self._prove(desk, ask, self._pairs.join(proven, answer), rest, done)
            except Invalid as error:
                done(self._refusal(desk, ask, error))
            except GatewayError as error:
                done(error)
            else:
                if identity is not None:
                    done(identity)

        return heard

    def _refusal(self, desk: Desk, ask: Ask, error: Invalid) -> GatewayError:
        forget_way(error)
        self._floods.refused(ask.peer, error.code)
        self._reporter.refused(desk.service, error.code, error.detail, error.hint)
        if error.code == "credentials_ambiguous":
            return BadRequest(error.detail, code=error.code)
        if error.code in FORBIDDEN:
            return Forbidden(error.detail, code=error.code)
        if error.code in CURED_BY_SIGN_IN and desk.challenges.sign_in and self._sign_on is not None:
            needed = self._sign_on.way_in(ask)
            if needed is not None:
                return needed
        challenges = desk.challenges.missing()
        if isinstance(error, InvalidToken):
            dpop = isinstance(error, InvalidProof) or is_by_dpop(ask)
            challenges = desk.challenges.invalid(error.detail, error.error, dpop=dpop)
        if not challenges:  # all is anonymous here, but who brings a credential
            return Forbidden("no application is registered for these credentials", code="no_application")
        nonce = error.nonce if isinstance(error, NonceRequired) else None
        return Unauthorized(error.detail, code=error.code, challenges=challenges, nonce=nonce)

    def _open(self, service: Service) -> Desk:
        accept = service.accept
        try:
            lines = lines_of(accept)
        except ValueError as error:
            raise ValueError(f"service {service.name}: {error}") from error
        names = dict.fromkeys(line.jwt for line in accept if line.jwt is not None)
        providers = tuple(self._providers[name] for name in names)
        people = self._sessions(accept)
        verifiers = self._verifiers(accept, providers, people)
        recall = providers[0].cache if len(providers) == len(verifiers) == 1 else None
        anonymous = next((line.anonymous for line in accept if line.anonymous is not None), None)
        nobody = Identity(subject="", application=anonymous) if anonymous is not None else None
        only = people if len(verifiers) == 1 else None
        desk = Desk(service.name, verifiers, lines, challenges_of(service, providers), nobody, recall, only)
        self._desks[service] = desk
        return desk

    def _sessions(self, accept: tuple[Accept, ...]) -> Sessions | None:
        people = tuple(dict.fromkeys(name for line in accept for name in line.sign_in))
        if not people:
            return None
        assert self._sign_on is not None
        return self._sign_on.verifier(people)

    def _verifiers(
        self, accept: tuple[Accept, ...], providers: tuple[Provider, ...], people: Sessions | None
    ) -> tuple[Verifier, ...]:
        places = dict.fromkeys(line.api_key for line in accept if line.api_key is not None)
        floods, clock, uses = self._floods, self._clock, self.uses
        verifiers: list[Verifier] = [KeyVerifier(place, self._keys, floods, clock, uses) for place in places]
        apps = dict.fromkeys(line.app_id for line in accept if line.app_id is not None)
        verifiers += [AppIdVerifier(place, self._app_ids, floods, clock, uses) for place in apps]
        issuers = dict.fromkeys(line.certificate for line in accept if line.certificate is not None)
        if issuers:
            verifiers.append(CertificateVerifier([self._issuers[name] for name in issuers], self._floods))
        if people is not None:
            verifiers.append(people)
        if providers:
            verifiers.append(TokenVerifier(providers, self._floods, self._possession, self._clock))
        return tuple(verifiers)


async def close_all(providers: Iterable[Provider]) -> None:
    """Stop their background work; whoever waits is answered."""
    await asyncio.gather(*(provider.close() for provider in providers))


def _require_line(desk: Desk, presented: set[Item]) -> None:
    for line in desk.lines:
        if line <= presented:
            return
    raise Invalid("credentials_missing", "credentials are required")


def challenges_of(service: Service, providers: Sequence[Provider]) -> Challenges:
    """What a service offers to those who come without credentials."""
    places = [line.api_key for line in service.accept if line.api_key is not None]
    places += [line.app_id.id for line in service.accept if line.app_id is not None]
    return Challenges(
        service.name,
        sign_in=any(line.sign_in for line in service.accept),
        bearer=any(line.jwt is not None for line in service.accept),
        basic=any(place.kind == "basic" for place in places),
        certificate=any(line.certificate is not None for line in service.accept),
        places=tuple(f'{place.kind}="{place.name}"' for place in places if place.kind != "basic"),
        dpop=" ".join(dict.fromkeys(chain(*(one.dpop.algorithms for one in providers if one.dpop.use != "off")))),
        bound=bool(providers) and all(one.dpop.use == "required" for one in providers),
    )
