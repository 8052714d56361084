"""Identity providers: whether they answer as tokens will be checked, with which keys, by which clock; and, with a
client's credentials, whether its tokens would be let in.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from gateway.doctor.finding import Finding, ok, problem, warning
from gateway.errors import Forbidden, Unavailable
from gateway.gate.applications import Directory
from gateway.identity.channel import Answer, Channel, FetchFailed
from gateway.identity.claims import LEEWAY, aspects, identity_of
from gateway.identity.jwks import Source
from gateway.identity.keys import KeySet
from gateway.identity.refusals import InvalidToken
from gateway.identity.token import parse
from gateway.model import ClientCredentials, Config, Oidc

SKEW_NOTED = 2.0  # seconds; HTTP tells whole ones
HERE = frozenset(("localhost", "127.0.0.1", "::1"))


class Client(NamedTuple):
    """Whose token is tried, at which provider (None: the only one)."""

    credentials: ClientCredentials
    provider: str | None = None


async def examine_providers(config: Config, client: Client | None = None) -> AsyncIterator[Finding]:
    """Of each provider in turn, then of the client's token."""
    for oidc in config.providers.values():
        for finding in await _of_provider(oidc):
            yield finding
    if client is not None:
        name = client.provider or next(iter(config.providers), "")
        if name not in config.providers or (client.provider is None and len(config.providers) != 1):
            yield problem("client", f"say which provider ({' '.join(config.providers) or 'none is configured'})")
            return
        for finding in await _of_client(config, config.providers[name], client.credentials):
            yield finding


async def _of_provider(oidc: Oidc) -> list[Finding]:
    about = f"identity {oidc.name}"
    source = Source(oidc)
    try:
        metadata = await source.channel.discover()
        found = [ok(about, f"answers as {oidc.issuer}"), *_plain(oidc), *endpoints(oidc, metadata)]
        found.append(await _keys(oidc, source))
        found.append(await clock(oidc, source.channel))
        return [*found, *[finding async for finding in _own_clients(oidc, source.channel, metadata)]]
    except FetchFailed as error:
        return [problem(about, f"{error}; no token of it can be verified")]
    finally:
        await source.aclose()


def _plain(oidc: Oidc) -> Iterator[Finding]:
    """Keys that come by plain HTTP may be anybody's."""
    url = urlsplit(oidc.internal_url or oidc.issuer)
    if url.scheme == "http" and url.hostname not in HERE:
        text = "keys are fetched by http, so who is between can forge tokens; use https"
        yield warning(f"identity {oidc.name}", text)


def endpoints(oidc: Oidc, metadata: dict[str, Any]) -> Iterator[Finding]:
    wanted = (
        ("jwks_uri", "checking tokens", True),
        ("introspection_endpoint", "introspection", oidc.introspection is not None),
        ("token_endpoint", "exchange", oidc.exchange is not None),
    )
    for name, purpose, needed in wanted:
        if needed and not isinstance(metadata.get(name), str):
            yield problem(f"identity {oidc.name}", f"its metadata has no {name}, which {purpose} needs")


async def _keys(oidc: Oidc, source: Source) -> Finding:
    about = f"identity {oidc.name}: keys"
    keys: KeySet = await source.refetch()
    if not len(keys):
        wanted = " ".join(oidc.algorithms) or "an asymmetric algorithm"
        return problem(about, f"it publishes no key for signatures by {wanted} that is strong enough")
    return ok(about, f"{len(keys)} that may verify tokens")


async def clock(oidc: Oidc, channel: Channel) -> Finding:
    """By the Date field of an answer, between when it was asked and when it came."""
    about = f"identity {oidc.name}: clock"
    before = time.time()
    stamp = await channel.date()
    after = time.time()
    if stamp is None:
        return ok(about, "its answers have no date")
    try:
        theirs = parsedate_to_datetime(stamp).timestamp()
    except (ValueError, TypeError):
        return warning(about, "its answers have a date that is none")
    skew = max(theirs - after, before - theirs - 1.0, 0.0)  # a second is cut off
    text = f"{skew:.0f} s from this machine's; tokens' times are allowed {LEEWAY:.0f} s; run NTP on both"
    if skew >= LEEWAY:
        return problem(about, text)
    return warning(about, text) if skew >= SKEW_NOTED else ok(about, "as this machine's")


async def _own_clients(oidc: Oidc, channel: Channel, metadata: dict[str, Any]) -> AsyncIterator[Finding]:
    """As which clients the gateway comes itself: whether the provider knows them."""
    for purpose, client in (("introspection", oidc.introspection), ("exchange", oidc.exchange)):
        if client is None:
            continue
        about = f"identity {oidc.name}: {purpose}"
        answer = await _granted(channel, metadata, (client.client_id, client.client_secret))
        said = answer.members.get("error")
        if answer.status == 200 or said in ("unauthorized_client", "unsupported_grant_type"):  # it is who it says
            yield ok(about, f"the client {client.client_id} is known by its secret")
        elif said in ("invalid_client", "invalid_grant"):
            yield problem(about, f"the provider does not know the client {client.client_id} by this secret: {said}")
        else:
            yield warning(about, f"the client {client.client_id} cannot be tried: {said or answer.status}")


async def _granted(channel: Channel, metadata: dict[str, Any], credentials: tuple[str, str]) -> Answer:
    url = channel.endpoint(metadata, "token_endpoint")
    return await channel.post(url, {"grant_type": "client_credentials"}, credentials)


async def _of_client(config: Config, oidc: Oidc, client: ClientCredentials) -> list[Finding]:
    """A token of the client's own, checked as a request's would be."""
    about = f"client {client.client_id}"
    source = Source(oidc)
    try:
        metadata = await source.channel.discover()
        answer = await _granted(source.channel, metadata, (client.client_id, client.client_secret))
        token = answer.members.get("access_token")
        if answer.status != 200 or not isinstance(token, str):
            said = f"{answer.members.get('error')}: {answer.members.get('error_description', '')}"
            cure = "in Keycloak, give the client 'Client authentication' and 'Service accounts roles'"
            return [problem(about, f"gets no token by client credentials: {said}; {cure}")]
        return list(_of_token(config, oidc, about, token, await source.fetch()))
    except FetchFailed as error:
        return [problem(about, str(error))]
    finally:
        await source.aclose()


def _of_token(config: Config, oidc: Oidc, about: str, text: str, keys: KeySet) -> Iterator[Finding]:
    try:
        token = parse(text.encode())
    except InvalidToken as error:
        yield warning(about, f"its token is opaque ({error.detail}): a provider with `introspection` reads it")
        return
    refusals = [error for _, error in aspects(token, oidc, time.time()) if error is not None]
    try:
        keys.verify(token)
    except (InvalidToken, Unavailable) as error:
        refusals.append(error if isinstance(error, InvalidToken) else InvalidToken(error.code, error.detail))
    for refusal in refusals:
        parts = f"its token is refused: {refusal.detail}", refusal.hint
        yield problem(about, "; ".join(part for part in parts if part))
    if refusals:
        return
    identity = identity_of(token.claims, oidc.name)
    try:
        application = Directory(config).application(identity)
    except Forbidden as error:
        yield warning(about, f"its token is valid, and {error.detail}: add {identity.client_id} to `client_ids`")
        return
    yield ok(about, f"its token is valid, and is the application {application.name}'s")
