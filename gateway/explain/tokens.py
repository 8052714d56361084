"""A token's checks, each by itself, so that all that is wrong with it is told at once."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from gateway.errors import GatewayError
from gateway.explain.step import Step, note, ok, refused
from gateway.identity.claims import aspects
from gateway.identity.passport import Passport
from gateway.identity.provider import Provider
from gateway.identity.refusals import InvalidToken
from gateway.identity.token import Token, parse
from gateway.model import Oidc


def explain_token(text: bytes, providers: dict[str, Oidc], passport: Passport, now: float) -> Iterator[Step]:
    """The steps before anybody is let in by it; the passport has asked the providers for their keys."""
    try:
        token = parse(text)
    except InvalidToken as error:
        opaque = [name for name in providers if passport.provider(name).reads_opaque]
        if opaque:
            yield note("form", f"{error.detail}: it is opaque, and {opaque[0]} is asked about it")
        else:
            yield refused("form", error, "only a provider with `introspection` can tell of opaque tokens")
        return
    yield ok("form", f"a JWS with {token.algorithm}, key {token.kid or 'not named'}")
    found = issuer_of(token, providers, passport)
    if found is None:
        known = ", ".join(oidc.issuer for oidc in providers.values()) or "none"
        strange = InvalidToken("issuer_wrong", f"the token is from {str(token.claims.get('iss'))[:200]!r}")
        yield refused("issuer", strange, f"providers here: {known}; they are compared letter by letter")
        return
    yield ok("provider", f"identity.{found}")
    yield from _checks(token, providers[found], passport.provider(found), now)


def issuer_of(token: Token, providers: dict[str, Oidc], passport: Passport) -> str | None:
    """The provider that the token names; of several with one issuer, that of its audience."""
    for fits in (Provider.addressed, Provider.issued):
        for name in providers:
            if fits(passport.provider(name), token):
                return name
    return None


def _checks(token: Token, oidc: Oidc, provider: Provider, now: float) -> Iterator[Step]:
    algorithms = oidc.algorithms
    if algorithms and token.algorithm not in algorithms:
        strange = InvalidToken("algorithm_refused", f"{token.algorithm} is not accepted")
        yield refused("algorithm", strange, f"accepted: {' '.join(algorithms)}")
    for about, refusal in aspects(token, oidc, now):
        yield (
            ok(about, _told(about, token, oidc, now))
            if refusal is None
            else refused(about, refusal, _seen(about, token))
        )
    try:
        provider.check_signature(token)
    except (InvalidToken, GatewayError) as error:
        yield refused("signature", error, provider.problem() or "")
    else:
        yield ok("signature", "verified by a key that the provider publishes")


def _told(about: str, token: Token, oidc: Oidc, now: float) -> str:
    claims = token.claims
    match about:
        case "issuer":
            return oidc.issuer
        case "times":
            return f"valid until {_moment(claims['exp'])}, {int(claims['exp'] - now)} s from now"
        case "audience":
            return f"{' '.join(oidc.audience)} is among {claims['aud']}"
        case "names":
            return f"sub {claims['sub']}, azp {claims.get('azp', claims.get('client_id', '-'))}"
        case "binding":
            return f"bound by {', '.join(claims['cnf'])}" if "cnf" in claims else "to nobody: who has it may use it"
        case _:
            return "an access token"


def _seen(about: str, token: Token) -> str:
    """What the token says there."""
    named = {"issuer": ("iss",), "times": ("exp", "nbf", "iat"), "audience": ("aud",), "type": ("typ",)}.get(about, ())
    return ", ".join(f"{name} is {str(token.claims[name])[:200]!r}" for name in named if name in token.claims)


def _moment(value: float) -> str:
    return f"{datetime.fromtimestamp(value, UTC):%Y-%m-%d %H:%M:%S UTC}"
