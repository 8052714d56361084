"""People of a realm of Keycloak's, the gateway that they sign in to, and their browsers."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from playwright.async_api import Browser, BrowserContext, Page
from rigs.waiting import until

from gateway.devkit.process import gateway_running
from gateway.devkit.servers import listener, serving
from gateway.devkit.web import web_app

from .realms import Admin, Realm
from .stage import free_addresses

PLANS = """
version: 1
gateway:
  listen: "${LISTEN}"
  admin: "${ADMIN}"
  data: "${DATA}"
  workers: 2
  store: {url: embedded, timeout: 5s} # seconds, as the machine is busy
identity:
  keycloak:
    oidc:
      issuer: "${ISSUER}"
      audience: gateway
      sign_in: {client_id: gateway-web, client_secret: "${SECRET}"}
services:
  web:
    path: /web
    upstream: {targets: ["${WEB}"]}
    accept: [{sign_in: keycloak}]
    require: {roles: [customer]}
    rules: [GET /web: hits]
plans:
  people: {services: [web], limits: {hits: [{limit: 1000/hour, per: user}]}}
applications:
  website: {plans: [people], client_ids: [gateway-web]}
"""
USERS = [
    {"username": name, "email": f"{name}@example.com", "emailVerified": True, "firstName": name.title(),
     "lastName": "Example", "realmRoles": ["customer"]}
    for name in ("alice", "bob")
]  # fmt: skip
LIFESPAN = 34  # seconds of an access token: it is refreshed when 8.5 of them are left


@dataclass
class Place:
    """A gateway, its realm, and the way of the realm's administrator to it."""

    origin: str
    admin_url: str
    plans: Path
    realm: Realm
    admin: Admin

    def call(self, method: str, path: str, body: Any = None) -> Any:
        return self.admin.call(method, f"realms/people/{path}", body)

    def user(self, name: str) -> str:
        return str(self.call("GET", f"users?username={name}&exact=true")[0]["id"])

    def sessions(self, name: str) -> list[Any]:
        return list(self.call("GET", f"users/{self.user(name)}/sessions"))

    async def gateway(self, *words: str) -> str:
        """What `gateway sessions` prints."""
        process = await asyncio.create_subprocess_exec(
            ".venv/bin/python", "-m", "gateway", "sessions", *words, stdout=asyncio.subprocess.PIPE
        )
        told, _ = await process.communicate()
        assert process.returncode == 0
        return told.decode()


def web_client(origin: str) -> dict[str, Any]:
    """As docs/sign-on.md has it."""
    return {
        "client": {
            "clientId": "gateway-web",
            "standardFlowEnabled": True,
            "directAccessGrantsEnabled": False,
            "redirectUris": [f"{origin}/.sso/keycloak/callback"],
            "frontchannelLogout": False,
            "attributes": {
                "pkce.code.challenge.method": "S256",
                "post.logout.redirect.uris": f"{origin}/.sso/signed-out",
                "backchannel.logout.url": f"{origin}/.sso/keycloak/back-channel",
                "backchannel.logout.session.required": "true",
                "access.token.lifespan": str(LIFESPAN),
            },
        },
        "users": [],
    }


@contextlib.asynccontextmanager
async def people(admin: Admin, folder: Path) -> AsyncIterator[Place]:
    """The gateway runs until the block is left."""
    listen, admin_address = free_addresses()
    origin = f"http://{listen}"
    realm = admin.create_realm("people", web_client(origin), roles=["customer"], users=USERS)
    admin.call("PUT", "realms/people", {"revokeRefreshToken": True, "refreshTokenMaxReuse": 0})
    plans = folder / "plans"
    plans.mkdir()
    (plans / "plans.yaml").write_text(PLANS)
    async with serving(web_app(), listener()) as web:
        environment = {"LISTEN": listen, "ADMIN": admin_address, "DATA": str(folder / "data"), "WEB": web}
        environment |= {"ISSUER": realm.issuer, "SECRET": realm.secret}
        with pytest.MonkeyPatch.context() as patched:
            for name, value in environment.items():
                patched.setenv(name, value)
            url = f"http://{admin_address}"
            async with gateway_running(plans, environment, url, folder / "gateway.log"):
                yield Place(origin, url, plans, realm, admin)


@contextlib.asynccontextmanager
async def person(browser: Browser) -> AsyncIterator[BrowserContext]:
    context = await browser.new_context()
    context.set_default_timeout(60_000)
    yield context
    await context.close()


async def sign_in(page: Page, place: Place, name: str, path: str = "/web") -> None:
    await page.goto(place.origin + path)
    await page.get_by_label("Username").fill(name)
    await page.locator("#password").fill(place.realm.secret)
    await page.locator("#kc-login").click()
    await page.wait_for_url(place.origin + path)
    assert "website" in await page.inner_text("dl")


async def asked_to_sign_in(page: Page, place: Place) -> bool:
    """Within a second, in which the other worker, and the browser may be its client, does not know of the end yet."""

    async def asked() -> bool:
        await page.goto(f"{place.origin}/web")
        return page.url.startswith(place.realm.issuer)

    return bool(await until(asked, "being asked to sign in", 10))


async def over(place: Place, cookie: str) -> None:
    """Waits for the end of the cookie's session. A connection has its worker by chance: each request has a new one."""

    async with httpx2.AsyncClient(trust_env=False, limits=httpx2.Limits(max_keepalive_connections=0)) as http:

        async def ended() -> bool:
            asked = [http.get(f"{place.origin}/web", headers={"cookie": cookie}) for _ in range(8)]
            return {answer.status_code for answer in await asyncio.gather(*asked)} == {401}

        await until(ended, "the end of the session", 10)


async def cookie_of(context: BrowserContext, place: Place) -> str:
    (found,) = [cookie for cookie in await context.cookies(place.origin) if cookie["name"] == "plangate"]
    return f"plangate={found['value']}"
