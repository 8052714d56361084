"""People who sign in by SAML, through a gateway's processes and the pages of the development provider."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from html import unescape
from pathlib import Path
from typing import Any

import httpx2
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from rigs.gateway import Gateway
from rigs.stage import ORDERS, Stage
from rigs.waiting import until

from gateway.devkit.saml import SamlProvider, SamlUser, new_pair
from gateway.devkit.saml_app import saml_app
from gateway.devkit.servers import listener, port_of, serving

pytestmark = pytest.mark.asyncio(loop_scope="session")

IDENTITY = (
    'identity: {partner: {saml: {metadata: "${SAML}/idp.xml", roles: groups, cert: "${SAML}/sp.pem", '
    'key: "${SAML}/sp.key", claims: {email: email}}}}'
)
SERVICE = ORDERS.replace("accept: [{jwt: keycloak}]", "accept: [{sign_in: partner}]")
PLANS = """
plans:
  gold: {services: [orders], limits: {hits: [{limit: 2/eternity, per: user}]}}
applications:
  staff: {plans: [gold], match: {roles: [staff]}}
"""
USERS = [
    SamlUser(name="ada", attributes={"groups": ("staff",), "email": ("ada@partner.example",)}),
    SamlUser(name="eve", attributes={"groups": ("staff",)}),
    SamlUser(name="bob"),
]
PERSON = {"accept": "text/html", "sec-fetch-mode": "navigate"}


@asynccontextmanager
async def partner(folder: Path, *, encrypts: bool = False) -> AsyncIterator[SamlProvider]:
    """The provider on a socket; its metadata and the gateway's key are in the folder."""
    sock = listener()
    provider = SamlProvider(f"http://127.0.0.1:{port_of(sock)}/realms/partner", USERS, encrypts=encrypts)
    own = new_pair("gateway")
    (folder / "idp.xml").write_bytes(provider.metadata())
    (folder / "sp.pem").write_bytes(own.certificate.public_bytes(Encoding.PEM))
    (folder / "sp.key").write_bytes(own.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    async with serving(saml_app(provider), sock):
        yield provider


@asynccontextmanager
async def signing_in(stage: Stage, folder: Path, **how: Any) -> AsyncIterator[tuple[Gateway, SamlProvider]]:
    async with (
        partner(folder, **how) as provider,
        stage.gateway(folder, IDENTITY, SERVICE, PLANS, SAML=str(folder)) as gateway,
    ):
        async with browser(gateway) as http:
            provider.register((await http.get("/.sso/partner/metadata")).content)
        yield gateway, provider


def browser(gateway: Gateway) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(base_url=gateway.url, trust_env=False, headers=PERSON, timeout=30, follow_redirects=True)


def form(page: httpx2.Response, button: str) -> tuple[str, dict[str, str]]:
    """Where the form of a button leads, and its hidden fields."""
    (text,) = (each for each in re.findall(r"<form.*?</form>", page.text, re.DOTALL) if f'id="{button}"' in each)
    (action,) = re.findall(r'action="([^"]*)"', text)
    fields = re.findall(r'name="(\w+)" value="([^"]*)"', text)
    return unescape(action), {name: unescape(value) for name, value in fields}


async def sign_in(http: httpx2.AsyncClient, user: str, path: str = "/orders") -> httpx2.Response:
    """By way of the provider's page; returns what was asked for."""
    chooser = await http.get(path)
    for button in (user, "on"):
        action, fields = form(chooser, button)
        chooser = await http.post(action, data=fields)
    return chooser


@pytest.mark.parametrize("encrypts", [False, True])
async def test_a_person_signs_in_and_is_counted(stage: Stage, tmp_path: Path, encrypts: bool) -> None:
    async with signing_in(stage, tmp_path, encrypts=encrypts) as (gateway, _), browser(gateway) as http:
        assert (await http.get("/orders", headers={"sec-fetch-mode": "cors"})).status_code == 401
        got = await sign_in(http, "ada")
        assert (got.status_code, got.url.path) == (200, "/orders")
        assert got.json()["caller"] == {"application": "staff", "plan": "gold", "subject": "ada"}
        assert (await http.get("/.sso/me")).json()["claims"]["email"] == "ada@partner.example"
        assert (await http.get("/orders")).status_code == 200
        assert (await http.get("/orders")).status_code == 429
        async with browser(gateway) as other:
            assert (await sign_in(other, "eve")).status_code == 200


async def test_who_has_no_role_has_no_application(stage: Stage, tmp_path: Path) -> None:
    async with signing_in(stage, tmp_path) as (gateway, _), browser(gateway) as http:
        assert (await sign_in(http, "bob")).status_code == 403


async def test_signing_out_here_signs_out_there(stage: Stage, tmp_path: Path) -> None:
    async with signing_in(stage, tmp_path) as (gateway, _), browser(gateway) as http:
        await sign_in(http, "ada")
        out = await http.post("/.sso/logout", headers={"sec-fetch-site": "same-origin"})
        assert (out.status_code, out.url.path) == (200, "/.sso/signed-out")
        way = ["/.sso/logout", "/realms/partner/protocol/saml", "/.sso/partner/slo"]
        assert [answer.url.path for answer in out.history] == way
        assert (await http.get("/orders", headers={"sec-fetch-mode": "cors"})).status_code == 401


async def test_the_provider_ends_a_session(stage: Stage, tmp_path: Path) -> None:
    async with signing_in(stage, tmp_path) as (gateway, provider), browser(gateway) as http:
        await sign_in(http, "ada")
        async with browser(gateway) as elsewhere:
            told = await elsewhere.get(f"{provider.address}/end", params={"user": "ada"})
            assert told.text == "Signed out everywhere."

        async def ended() -> bool:
            return (await http.get("/orders", headers={"sec-fetch-mode": "cors"})).status_code == 401

        await until(ended)
