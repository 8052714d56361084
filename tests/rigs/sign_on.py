"""People who sign in: a gateway that serves in this process, the development provider beside it, and their browsers."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from html import unescape
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httpx2
from rigs.proxy import echo

from gateway.config import load
from gateway.devkit.keys import KeyRing
from gateway.devkit.people import People, WebClient, demo_people
from gateway.devkit.provider import WEB, Client, Provider
from gateway.devkit.provider_app import provider_app
from gateway.devkit.servers import listener as listening
from gateway.devkit.servers import port_of, serving
from gateway.errors import Unavailable
from gateway.model import Config, Listener
from gateway.proxy.server import Server
from gateway.proxy.terms import Terms
from gateway.quota.memory import MemoryLedger
from gateway.quota.refusals import Refusals
from gateway.site import Site, build_site
from gateway.sso.sessions import Sessions
from gateway.store import StoreAway
from gateway.store.marks import MemoryMarks
from gateway.store.memory_records import MemoryRecords
from gateway.store.shared import Shared

NAVIGATION = {"sec-fetch-mode": "navigate", "sec-fetch-site": "none", "accept": "text/html"}
PLANS = """
version: 1
gateway:
  store: memory
  sign_on: {idle: 30m, life: 8h}
identity:
  keycloak:
    oidc:
      issuer: "${ISSUER}"
      audience: gateway
      sign_in: {client_id: gateway-web, client_secret: "${SECRET}", title: Our company}
services:
  web:
    path: /web
    upstream: {targets: ["http://127.0.0.1:${UPSTREAM}"]}
    accept: [{sign_in: keycloak}]
    rules: [GET /: hits, POST /: hits]
  both:
    path: /both
    upstream: {targets: ["http://127.0.0.1:${UPSTREAM}"]}
    accept: [{jwt: keycloak}, {sign_in: keycloak}]
    rules: [GET /: hits]
plans:
  staff: {services: [web, both], limits: {hits: [{limit: 1000/hour, per: user}]}}
applications:
  website: {plans: [staff], client_ids: [gateway-web]}
"""


class Clock:
    """Time that passes only when told."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class FaultyRecords(MemoryRecords):
    """Records whose store is away when the test says so."""

    away = False

    def __getattribute__(self, name: str) -> Any:
        if name in ("get", "put", "swap", "take", "drop", "once", "index", "listed") and self.away:
            raise StoreAway("the store does not answer")
        return super().__getattribute__(name)


@dataclass
class Stage:
    """A gateway, its provider, and what they keep."""

    origin: str
    issuer: str
    clock: Clock
    people: People
    provider: Provider
    shared: Shared
    site: Site
    config: Config
    asked: list[str] = field(default_factory=list)  # of the provider: paths

    def browser(self) -> Browser:
        return Browser(self)

    async def end_all(self) -> None:
        """As an operator would."""
        sessions = Sessions(self.shared.records, self.shared.marks, self.config.sign_on, self.clock)
        for name in [name async for name, _ in sessions.all()]:
            await sessions.end(name)

    @asynccontextmanager
    async def beside(self) -> AsyncIterator[Second]:
        """Another worker over the same store."""
        async with AsyncExitStack() as stack:
            yield Second((await serve(stack, self.config, self.shared, self.clock))[0])


class Second(NamedTuple):
    origin: str


class Browser:
    """Keeps cookies and follows redirects as one does, a step at a time."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.http = httpx2.AsyncClient(base_url=stage.origin, trust_env=False, verify=False, timeout=20.0)
        self.visited: list[str] = []

    async def get(self, url: str, headers: Mapping[str, str] = NAVIGATION) -> httpx2.Response:
        """One step."""
        self.visited.append(url)
        return await self.http.get(url, headers=dict(headers))

    async def post(self, url: str, form: Mapping[str, str], **headers: str) -> httpx2.Response:
        origin = {"origin": "{0.scheme}://{0.netloc}".format(urlsplit(self.stage.origin)), **NAVIGATION}
        return await self.http.post(url, data=dict(form), headers=origin | {"sec-fetch-site": "same-origin"} | headers)

    async def go(self, url: str) -> httpx2.Response:
        """As far as redirects lead."""
        answer = await self.get(url)
        for _ in range(10):
            if answer.status_code not in (302, 303):
                return answer
            answer = await self.get(str(httpx2.URL(str(answer.url)).join(answer.headers["location"])))
        raise AssertionError("redirects without end")

    async def sign_in(self, path: str = "/web/page", name: str = "alice") -> httpx2.Response:
        """Goes to a page, says who it is at the provider's, and comes back."""
        asked = await self.go(path)
        assert "Who are you?" in asked.text, asked.text
        return await self.go((await self.say(asked, name)).headers["location"])

    async def say(self, asked: httpx2.Response, name: str) -> httpx2.Response:
        """Sends the provider's form."""
        found = re.search('action="([^"]+)"', asked.text)
        assert found is not None, asked.text
        return await self.http.post(str(asked.url.join(unescape(found[1]))), data={"user": name}, headers=NAVIGATION)

    def cookies(self) -> dict[str, str]:
        return {cookie.name: cookie.value or "" for cookie in self.http.cookies.jar}

    @property
    def session(self) -> str:
        return self.cookies()["plangate"]

    async def __aenter__(self) -> Browser:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.http.aclose()


@asynccontextmanager
async def stage(
    folder: Path,
    plans: str = PLANS,
    lifespan: int = 300,
    listener: Listener | None = None,
    now: float = 1_800_000_000.0,
) -> AsyncIterator[Stage]:
    """`listener` is how clients are taken; its address is not looked at."""
    async with AsyncExitStack() as stack:
        clock = Clock(now)
        sock, gate = listening(), socket.create_server(("127.0.0.1", 0))
        origin = origin_of(gate, listener)
        issuer = f"http://127.0.0.1:{port_of(sock)}/realms/demo"
        client = Client(id=WEB, lifespan=lifespan)
        provider = Provider(issuer, [client, Client(id="mobile-app")], clock, keys())
        url = f"{origin}/.sso/keycloak/back-channel"
        web = WebClient(urls=(f"{origin}/",), back_channel=url, lifespan=lifespan)
        people = People(provider, [web], demo_people(), clock)
        asked: list[str] = []
        await stack.enter_async_context(serving(recorded(provider_app(provider, people), asked), sock))
        upstream = await asyncio.start_server(handled, "127.0.0.1", 0)
        stack.callback(upstream.close)
        port = upstream.sockets[0].getsockname()[1]
        (folder / "plans.yaml").write_text(plans)
        config = load(folder, {"ISSUER": issuer, "SECRET": client.secret, "UPSTREAM": str(port)})
        shared = Shared(FaultyRecords(clock), MemoryMarks(clock, lambda _row: None))
        _, site = await serve(stack, config, shared, clock, gate, listener)
        yield Stage(origin, issuer, clock, people, provider, shared, site, config, asked)


async def serve(
    stack: AsyncExitStack,
    config: Config,
    shared: Shared,
    clock: Clock,
    sock: socket.socket | None = None,
    listener: Listener | None = None,
) -> tuple[str, Site]:
    """A worker, until the stack unwinds; where it is, and what it serves."""
    sock = sock or socket.create_server(("127.0.0.1", 0))
    ledger = MemoryLedger(clock, lambda _alert: None)
    site = build_site(config, ledger, shared, Refusals("gw", unheard), asyncio.get_running_loop(), clock=clock)
    await site.passport.start()
    stack.push_async_callback(site.passport.close)
    server = Server(site.gate, site.pools, lambda _exchange: None, pages=site.pages)
    server.receive([Terms(listener)], ())
    origin = origin_of(sock, listener)
    await server.listen(sock)
    stack.push_async_callback(server.drain, 0.1, 0)
    return origin, site


async def unheard(_counts: Mapping[str, int]) -> None:
    """Nobody counts refusals here."""


def origin_of(sock: socket.socket, listener: Listener | None = None) -> str:
    return f"{'https' if listener and listener.tls else 'http'}://127.0.0.1:{sock.getsockname()[1]}"


@cache
def keys() -> KeyRing:
    """The same for all, as making them takes time."""
    return KeyRing()


async def handled(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        await echo(reader, writer)
    except (ConnectionError, asyncio.IncompleteReadError):
        pass
    finally:
        writer.close()


def recorded(app: Any, asked: list[str]) -> Any:
    """The provider, which notes what it is asked; `away` in the list makes it fail."""

    async def middle(scope: Any, receive: Any, send: Any) -> None:
        asked.append(scope["path"].rpartition("/")[2])
        if "away" in asked:
            raise Unavailable("the provider has fallen over")
        await app(scope, receive, send)

    return middle
