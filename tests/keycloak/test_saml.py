"""People of a realm who sign in by SAML: the gateway is registered by its own metadata, as docs/saml.md says."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http.cookiejar import DefaultCookiePolicy
from pathlib import Path

import httpx2
import pytest
from rigs.gateway import Gateway
from rigs.waiting import until

from .realms import Admin, Realm
from .saml import ENCRYPTED, PLAIN, files, register, saml_realm, sign_in, submit
from .stage import Service

pytestmark = [
    pytest.mark.keycloak,
    pytest.mark.timeout(120, func_only=True),
    pytest.mark.asyncio(loop_scope="module"),
]

IDENTITY = (
    'identity: {partner: {saml: {metadata: "${SAML}/idp.xml", roles: Role, cert: "${SAML}/sp.pem", '
    'key: "${SAML}/sp.key"}}}'
)
SERVICE = """
services:
  orders:
    path: /orders
    upstream:
      targets: ["${ORDERS}"]
      tls:
        {ca: "${CERTS}/ca.pem", cert: "${CERTS}/gateway.pem", key: "${CERTS}/gateway.key", verify_name: orders.internal}
    accept: [{sign_in: partner}]
    rules: [GET /orders: hits]
"""
PLANS = """
plans:
  gold: {services: [orders], limits: {hits: [{limit: 3/eternity, per: user}]}}
applications:
  staff: {plans: [gold], match: {roles: [staff]}}
"""
PERSON = {"accept": "text/html", "sec-fetch-mode": "navigate"}
PROGRAM = {"accept": "*/*", "sec-fetch-mode": "cors"}


@asynccontextmanager
async def gateway_of(orders: Service, realm: Realm, folder: Path, more: str = "") -> AsyncIterator[Gateway]:
    """One that has people of the realm sign in; it is not registered there yet. `more` is said of its service."""
    files(folder, realm.descriptor())
    environment = {"ISSUER": realm.issuer, "ORDERS": orders.url, "CERTS": str(orders.certificates)}
    environment |= {"STORE": "memory", "STORE_TIMEOUT": "5s", "SAML": str(folder)}
    gateway = Gateway(folder, (IDENTITY, f"{SERVICE.rstrip()}\n    {more}\n", PLANS), environment)
    try:
        yield await gateway.start()
    finally:
        await gateway.close()


def browser(gateway: Gateway) -> httpx2.AsyncClient:
    """Takes plain http on this machine for secure, as browsers do: Keycloak marks its cookies so."""
    http = httpx2.AsyncClient(base_url=gateway.url, trust_env=False, headers=PERSON, timeout=60, follow_redirects=True)
    http.cookies.jar.set_policy(DefaultCookiePolicy(secure_protocols=("http", "https")))
    return http


async def metadata(gateway: Gateway) -> bytes:
    async with browser(gateway) as http:
        return (await http.get("/.sso/partner/metadata")).content


async def signed_out(http: httpx2.AsyncClient) -> bool:
    return (await http.get("/orders", headers=PROGRAM)).status_code == 401


@pytest.mark.parametrize("how", [{}, PLAIN, ENCRYPTED], ids=["imported", "plain", "encrypted"])
async def test_a_person_signs_in_and_out(admin: Admin, orders: Service, tmp_path: Path, how: dict[str, str]) -> None:
    realm = saml_realm(admin)
    async with gateway_of(orders, realm, tmp_path) as gateway, browser(gateway) as http:
        register(admin, realm, await metadata(gateway), **how)
        got = await sign_in(http, realm)
        assert got.status_code == 200, got.text
        assert got.json()["caller"]["application"] == "staff"
        assert got.json()["caller"]["subject"] == "alice"
        out = await http.post("/.sso/logout", headers={"sec-fetch-site": "same-origin"})
        if 'name="SAML' in out.text:
            out = await submit(http, out)
        assert out.url.path == "/.sso/signed-out", out.text
        assert await signed_out(http)
        assert "kc-form-login" in (await http.get("/orders")).text  # the realm has forgotten alice too


async def test_the_realm_signs_a_person_out(admin: Admin, orders: Service, tmp_path: Path) -> None:
    """By the administrator: told to the gateway without the browser."""
    realm = saml_realm(admin)
    async with gateway_of(orders, realm, tmp_path) as gateway, browser(gateway) as http:
        register(admin, realm, await metadata(gateway), frontchannelLogout="false")
        assert (await sign_in(http, realm)).status_code == 200
        (alice,) = admin.call("GET", f"realms/{realm.name}/users?username=alice")
        admin.call("POST", f"realms/{realm.name}/users/{alice['id']}/logout")
        await until(lambda: signed_out(http))


async def test_a_person_signs_out_at_the_realm(admin: Admin, orders: Service, tmp_path: Path) -> None:
    """By way of the browser."""
    realm = saml_realm(admin)
    async with gateway_of(orders, realm, tmp_path) as gateway, browser(gateway) as http:
        register(admin, realm, await metadata(gateway), frontchannelLogout="true")
        assert (await sign_in(http, realm)).status_code == 200
        page = await http.get(f"{realm.issuer}/protocol/openid-connect/logout")
        left = await submit(http, page)
        assert await signed_out(http), left.text
