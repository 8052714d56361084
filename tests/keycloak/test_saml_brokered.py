"""People of an identity provider by SAML that Keycloak brokers: they come to the gateway by OpenID Connect."""

from __future__ import annotations

import re
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from html import unescape
from pathlib import Path

import pytest
from rigs.gateway import Gateway

from .realms import Admin, Realm, audience_mapper
from .saml import broker, saml_realm, sign_in, submit
from .stage import Service
from .test_saml import PLANS, SERVICE, browser

pytestmark = [
    pytest.mark.keycloak,
    pytest.mark.timeout(120, func_only=True),
    pytest.mark.asyncio(loop_scope="module"),
]

IDENTITY = """
identity:
  people: {oidc: {issuer: "${ISSUER}", audience: gateway, sign_in: {client_id: web, client_secret: "${WEB_SECRET}"}}}
"""


@asynccontextmanager
async def brokered(admin: Admin, orders: Service, folder: Path) -> AsyncIterator[tuple[Gateway, Realm]]:
    """A gateway, and the realm whose people come to it by way of another one."""
    upstream = saml_realm(admin)
    client = {
        "clientId": "web",
        "standardFlowEnabled": True,
        "redirectUris": ["http://127.0.0.1/*"],
        "protocolMappers": [audience_mapper("gateway")],
    }
    realm = admin.create_realm(
        f"broker-{secrets.token_hex(4)}", {"client": client, "users": []}, roles=["staff"], users=[]
    )
    broker(admin, realm, upstream)
    environment = {"ISSUER": realm.issuer, "ORDERS": orders.url, "CERTS": str(orders.certificates)}
    environment |= {"STORE": "memory", "STORE_TIMEOUT": "5s", "WEB_SECRET": realm.secret}
    service = SERVICE.replace("sign_in: partner", "sign_in: people")
    gateway = Gateway(folder, (IDENTITY, service, PLANS), environment)
    try:
        await gateway.start()
        (web,) = admin.call("GET", f"realms/{realm.name}/clients?clientId=web")
        admin.call("PUT", f"realms/{realm.name}/clients/{web['id']}", web | {"redirectUris": [f"{gateway.url}/*"]})
        yield gateway, upstream
    finally:
        await gateway.close()


async def test_a_brokered_person_is_one_like_any_other(admin: Admin, orders: Service, tmp_path: Path) -> None:
    async with brokered(admin, orders, tmp_path) as (gateway, upstream), browser(gateway) as http:
        page = await http.get("/orders")
        (link,) = re.findall(r'href="([^"]*/broker/upstream/login[^"]*)"', page.text)
        got = await sign_in(http, upstream, f"{str(page.url).partition('/realms/')[0]}{unescape(link)}")
        if "kc-idp-review-profile-form" in got.text:
            got = await submit(http, got, email="alice@example.com", firstName="Alice", lastName="Example")
        assert got.headers["content-type"] == "application/json", got.text
        assert got.json()["caller"]["application"] == "staff"
        assert (await http.get("/.sso/me")).json()["claims"]["email"] == "alice@example.com"
