"""The sign-on pages with one provider by SAML, a browser that keeps cookies, and the provider's side of the talk."""

from __future__ import annotations

from collections.abc import AsyncIterator, MutableMapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx2
from corpus.saml.builder import IDP, NOW, REQUEST, SP, Answer, pair
from corpus.saml.metadata import KEYS, SSO, provider_metadata, service
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from lxml import etree

from gateway.model import Certificate, Saml, SignOn
from gateway.sso.app import SignOnApp
from gateway.sso.desk import Desk
from gateway.sso.pages import Look
from gateway.sso.saml import names, writing
from gateway.sso.saml.bindings import Sent, form_fields, from_query, redirect
from gateway.sso.saml.entities import NameId
from gateway.sso.saml.way import SamlWay
from gateway.sso.session import Summary
from gateway.sso.sessions import Sessions
from gateway.store.marks import MemoryMarks
from gateway.store.memory_records import MemoryRecords

ORIGIN = "https://api.example.com"
HERE = f"{ORIGIN}/.sso/partner"
SLO = "https://idp.example.com/slo"
SERVICES = SSO + service("SingleLogoutService", names.REDIRECT, SLO)
NAVIGATES = {"sec-fetch-mode": "navigate", "accept": "text/html"}


def files(folder: Path) -> Saml:
    """The provider's metadata and the gateway's key in files, and the block that names them."""
    (folder / "idp.xml").write_bytes(provider_metadata(KEYS + SERVICES))
    own = pair("sp")
    (folder / "sp.pem").write_bytes(own.certificate.public_bytes(Encoding.PEM))
    (folder / "sp.key").write_bytes(own.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    own_files = Certificate(folder / "sp.pem", folder / "sp.key")
    return Saml(
        name="partner", title="Partner", metadata=folder / "idp.xml", entity_id=SP, pairs=(own_files,), roles="groups"
    )


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


@dataclass
class Stage:
    """`http` is the browser."""

    http: httpx2.AsyncClient
    sessions: Sessions
    clock: Clock
    way: SamlWay

    async def open(self) -> list[Summary]:
        """All sessions."""
        return [summary async for _, summary in self.sessions.all()]

    async def begin(self, target: str = "/shop?a=1") -> Sent:
        """What the browser takes to the provider."""
        answer = await self.http.get(f"/.sso/login?{urlencode({'to': target})}")
        assert answer.status_code == 303, answer.text
        return read_redirect(answer)

    async def post(self, xml: bytes, state: str | None) -> httpx2.Response:
        """As from a page of the provider: another site's, so without the cookies of SameSite=Lax."""
        kept, self.http.cookies = self.http.cookies, httpx2.Cookies()
        try:
            answer = await self.http.post("/.sso/partner/acs", data=form_fields("SAMLResponse", xml, state))
        finally:
            new, self.http.cookies = self.http.cookies, kept
        self.http.cookies.update(new)
        return answer

    async def sign_in(self, answer: Answer | None = None) -> httpx2.Response:
        """The whole way; returns the last answer."""
        sent = await self.begin()
        posted = await self.post(responding(sent, answer), sent.relay_state)
        return posted if posted.status_code != 303 else await self.http.get(posted.headers["location"])


def read_redirect(answer: httpx2.Response) -> Sent:
    query = urlsplit(answer.headers["location"]).query
    return from_query(query.encode(), "SAMLRequest", "SAMLResponse")


def responding(sent: Sent, answer: Answer | None = None) -> bytes:
    """A response to this AuthnRequest."""
    answer = answer or Answer()
    request = etree.fromstring(sent.xml).get("ID")
    return replace(
        answer, response=answer.response.replace(REQUEST, request), data=answer.data.replace(REQUEST, request)
    ).xml()


def logout_query(name_id: NameId, index: str | None, key: str = "idp", at: float = NOW, to: str = f"{HERE}/slo") -> str:
    """The path of a LogoutRequest of the provider's."""
    root = writing.logout_request(IDP, to, name_id, index, at)
    return redirect(to, "SAMLRequest", writing.octets(root), "idp-state", pair(key)).removeprefix(ORIGIN)


def scoped(app: Any) -> Any:
    """What the worker tells an application of each request."""

    async def call(scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        cookies = dict(scope["headers"]).get(b"cookie", b"")
        own = tuple(pair.strip() for pair in cookies.split(b";") if pair.strip())
        scope["state"] = {"origin": ORIGIN, "own_cookies": own, "request_id": "r-1"}
        await app(scope, receive, send)

    return call


@asynccontextmanager
async def stage(saml: Saml) -> AsyncIterator[Stage]:
    clock = Clock()
    records = MemoryRecords(clock)
    sessions = Sessions(records, MemoryMarks(clock, lambda row: None), SignOn(), clock)
    desk = Desk(records, sessions, Look(None))
    app = SignOnApp(desk, sessions)
    way = SamlWay(saml, desk, clock)
    app.ways["partner"] = way
    app.ready(lambda host, target: ("partner",))
    transport = httpx2.ASGITransport(scoped(app), raise_app_exceptions=True)
    async with httpx2.AsyncClient(transport=transport, base_url=ORIGIN, headers=NAVIGATES) as http:
        yield Stage(http, sessions, clock, way)
    await way.close()
