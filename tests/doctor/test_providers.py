"""What is said of identity providers, and of a client's token."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from rigs.stores import free_port

from gateway.devkit.provider import Client, Provider
from gateway.devkit.provider_app import provider_app
from gateway.devkit.servers import listener, port_of, serving
from gateway.doctor.finding import Finding, Level
from gateway.doctor.providers import Client as Tried
from gateway.doctor.providers import clock, endpoints, examine_providers
from gateway.identity.channel import Channel
from gateway.model import Application, ClientCredentials, Config, Introspection, Oidc

MOBILE = Client(id="mobile-app", secret="mobile-secret")  # fixed, as it is in the names of tests
SHOP = Client(id="shop-app", secret="shop-secret")
NARROW = Client(id="narrow-app", secret="narrow-secret", audience=())
APPLICATIONS = {"mobile": Application(name="mobile", plans=(), client_ids=("mobile-app",))}


@asynccontextmanager
async def realm() -> AsyncIterator[Config]:
    """A configuration whose provider is the development one."""
    sock = listener()
    issuer = f"http://127.0.0.1:{port_of(sock)}/realms/demo"
    app = provider_app(Provider(issuer, (MOBILE, SHOP, NARROW)))

    async with serving(app, sock):
        oidc = Oidc(name="keycloak", issuer=issuer, audience=("gateway",))
        yield Config(providers={"keycloak": oidc}, applications=APPLICATIONS)


async def found(
    change: Callable[[Oidc], Oidc] = lambda oidc: oidc,
    client: tuple[str, str] | None = None,
) -> list[Finding]:
    async with realm() as config:
        changed = replace(config, providers={name: change(oidc) for name, oidc in config.providers.items()})
        tried = client and Tried(ClientCredentials(client_id=client[0], client_secret=client[1]))
        return [finding async for finding in examine_providers(changed, tried or None)]


async def test_a_provider_that_is_well() -> None:
    told = await found()
    assert [(finding.level, finding.about) for finding in told] == [
        (Level.OK, "identity keycloak"),
        (Level.OK, "identity keycloak: keys"),
        (Level.OK, "identity keycloak: clock"),
    ]


async def test_one_that_is_away() -> None:
    oidc = Oidc(name="sso", issuer=f"http://127.0.0.1:{free_port()}/realms/demo", audience=("gateway",))
    (told,) = [finding async for finding in examine_providers(Config(providers={"sso": oidc}))]
    assert told.level is Level.PROBLEM
    assert told.text.endswith("; no token of it can be verified")


async def test_one_that_says_that_it_is_another() -> None:
    told = await found(change=lambda oidc: replace(oidc, issuer="https://sso.example", internal_url=oidc.issuer))
    assert "configure that issuer, or set the provider's own hostname (in Keycloak: KC_HOSTNAME)" in told[0].text


async def test_one_without_keys_for_what_is_accepted() -> None:
    told = await found(change=lambda oidc: replace(oidc, algorithms=("ES512",)))
    assert told[1] == Finding(
        Level.PROBLEM,
        "identity keycloak: keys",
        "it publishes no key for signatures by ES512 that is strong enough",
    )


@pytest.mark.parametrize(
    ("date", "level"),
    [
        ("Mon, 01 Jan 2024 00:00:00 GMT", Level.PROBLEM),
        ("Fri, 01 Jan 2100 00:00:00 GMT", Level.PROBLEM),
        ("soon", Level.WARNING),
    ],
)
async def test_a_clock_that_is_off(date: str, level: Level) -> None:
    async def dated(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 200 OK\r\ndate: {date}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".encode())
        writer.close()

    server = await asyncio.start_server(dated, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        oidc = Oidc(name="keycloak", issuer=f"http://127.0.0.1:{port}", audience=("gateway",))
        channel = Channel(oidc)
        told = await clock(oidc, channel)
        await channel.aclose()
    assert told.level is level


def test_endpoints_that_are_needed() -> None:
    asks = Introspection(client_id="gateway", client_secret="s", tokens=("opaque",))
    oidc = Oidc(name="sso", issuer="https://sso.example", audience=("gateway",), introspection=asks)
    told = [finding.text for finding in endpoints(oidc, {"jwks_uri": "https://sso.example/certs"})]
    assert told == ["its metadata has no introspection_endpoint, which introspection needs"]


@pytest.mark.parametrize(("secret", "level"), [(MOBILE.secret, Level.OK), ("wrong", Level.PROBLEM)])
async def test_the_gateways_own_client(secret: str, level: Level) -> None:
    client = ClientCredentials(client_id="mobile-app", client_secret=secret)
    told = await found(change=lambda oidc: replace(oidc, exchange=client))
    assert (told[-1].about, told[-1].level) == ("identity keycloak: exchange", level)
    assert secret not in told[-1].text


@pytest.mark.parametrize(
    ("client", "secret", "level", "text"),
    [
        ("mobile-app", MOBILE.secret, Level.OK, "its token is valid, and is the application mobile's"),
        ("shop-app", SHOP.secret, Level.WARNING, "its token is valid, and no application is registered"),
        ("narrow-app", NARROW.secret, Level.PROBLEM, "its token is refused: the token is for another audience; in Key"),
        ("mobile-app", "wrong", Level.PROBLEM, "gets no token by client credentials: invalid_client: Invalid client"),
    ],
)
async def test_a_clients_token_is_tried(client: str, secret: str, level: Level, text: str) -> None:
    told = (await found(client=(client, secret)))[-1]
    assert (told.level, told.about) == (level, f"client {client}")
    assert told.text.startswith(text)


async def test_of_several_providers_one_must_be_named() -> None:
    async with realm() as config:
        providers = {name: replace(config.providers["keycloak"], name=name) for name in ("a", "b")}
        tried = Tried(ClientCredentials(client_id="mobile-app", client_secret=MOBILE.secret))
        both = replace(config, providers=providers)
        told = [finding async for finding in examine_providers(both, tried)]
        assert told[-1].text == "say which provider (a b)"
        told = [finding async for finding in examine_providers(both, tried._replace(provider="b"))]
        assert told[-1].level is Level.OK
