"""Sign-on at Keycloak, clicked in Chromium: in and out, refreshed and ended, with a gateway as a user starts it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page
from rigs.chromium import chromium
from rigs.waiting import until

from gateway.devkit.process import gateway_running
from gateway.devkit.servers import listener, serving
from gateway.devkit.web import web_app

from .realms import Admin, Realm
from .stage import free_addresses

pytestmark = [
    pytest.mark.keycloak,
    pytest.mark.chromium,
    pytest.mark.timeout(180, func_only=True),
    pytest.mark.asyncio(loop_scope="module"),
]

PLANS = """
version: 1
gateway:
  listen: "${LISTEN}"
  admin: "${ADMIN}"
  data: "${DATA}"
  workers: 2
  store: embedded
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


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place(admin: Admin, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    folder = tmp_path_factory.mktemp("sign-on")
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


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as it:
        yield it


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
    await page.goto(f"{place.origin}/web")
    return page.url.startswith(place.realm.issuer)


async def test_a_person_signs_in_by_a_pushed_request_with_pkce(place: Place, browser: Browser) -> None:
    async with person(browser) as alice:
        page = await alice.new_page()
        urls: list[str] = []
        page.on("request", lambda request: urls.append(request.url))
        await sign_in(page, place, "alice", "/web/deep?x=1&y=2")
        assert place.user("alice") in await page.inner_text("dl")
        left = next(url for url in urls if "/protocol/openid-connect/auth?" in url)
        assert set(parse_qs(urlsplit(left).query)) == {"client_id", "request_uri"}
        back = next(url for url in urls if "/.sso/keycloak/callback" in url)
        assert parse_qs(urlsplit(back).query)["iss"] == [place.realm.issuer]
        await page.goto(f"{place.origin}/.sso/me")
        told = await page.evaluate("JSON.parse(document.body.innerText)")
        assert (told["claims"]["preferred_username"], told["provider"]) == ("alice", "keycloak")
        assert "customer" in told["roles"]


async def test_signing_out_here_ends_the_session_there(place: Place, browser: Browser) -> None:
    async with person(browser) as bob:
        page = await bob.new_page()
        await sign_in(page, place, "bob")
        assert len(place.sessions("bob")) == 1
        await page.get_by_role("link", name="Sign out").click()
        await page.wait_for_url(f"{place.origin}/.sso/signed-out")
        assert await page.inner_text("h1") == "You are signed out"
        assert place.sessions("bob") == []
        assert await asked_to_sign_in(page, place)


async def test_a_logout_at_keycloak_arrives_by_the_back_channel(place: Place, browser: Browser) -> None:
    async with person(browser) as alice:
        page = await alice.new_page()
        await sign_in(page, place, "alice")
        cookie = await cookie_of(alice, place)
        for session in place.sessions("alice"):
            place.call("DELETE", f"sessions/{session['id']}?isOffline=false")
        place.call("POST", f"users/{place.user('alice')}/logout")
        async with httpx2.AsyncClient(trust_env=False) as http:

            async def ended() -> bool:
                answer = await http.get(f"{place.origin}/web", headers={"cookie": cookie})
                return answer.status_code == 401

            await until(ended, "the back channel", 10)
        assert await asked_to_sign_in(page, place)


async def test_tokens_are_refreshed_once_for_two_tabs_and_two_workers(place: Place, browser: Browser) -> None:
    """Refresh tokens are good once here: a second use would end the session."""
    async with person(browser) as alice:
        first, second = await alice.new_page(), await alice.new_page()
        await sign_in(first, place, "alice")
        cookie = await cookie_of(alice, place)
        async with httpx2.AsyncClient(trust_env=False, timeout=30) as http:
            for _ in range(2):
                await asyncio.sleep(LIFESPAN - 5)  # the provider's clock is its own
                asked = [http.get(f"{place.origin}/web", headers={"cookie": cookie}) for _ in range(20)]
                answers = await asyncio.gather(
                    first.goto(f"{place.origin}/web"), second.goto(f"{place.origin}/web"), *asked
                )
                assert {
                    answer.status_code if hasattr(answer, "status_code") else answer.status
                    for answer in answers
                    if answer
                } == {200}
        assert len(place.sessions("alice")) == 1


async def test_a_session_that_keycloak_ended_without_a_word_is_over_with_its_tokens(
    place: Place, browser: Browser
) -> None:
    """As when the back channel does not get through."""
    path = f"clients/{place.call('GET', 'clients?clientId=gateway-web')[0]['id']}"
    client = place.call("GET", path)
    attributes = client["attributes"]
    place.call("PUT", path, client | {"attributes": attributes | {"backchannel.logout.url": "http://127.0.0.1:1/"}})
    try:
        async with person(browser) as bob:
            page = await bob.new_page()
            await sign_in(page, place, "bob")
            place.call("POST", f"users/{place.user('bob')}/logout")
            await page.goto(f"{place.origin}/web")
            assert page.url == f"{place.origin}/web"  # nobody has told the gateway
            await asyncio.sleep(LIFESPAN - 5)
            assert await asked_to_sign_in(page, place)
    finally:
        place.call("PUT", path, client)


async def test_an_operator_sees_and_ends_sessions(place: Place, browser: Browser) -> None:
    async with person(browser) as alice:
        page = await alice.new_page()
        await sign_in(page, place, "alice")
        user = place.user("alice")
        assert user in await place.gateway("ls", str(place.plans))
        assert user in await place.gateway("end", str(place.plans), "--subject", user)
        cookie = await cookie_of(alice, place)
        async with httpx2.AsyncClient(trust_env=False) as http:

            async def ended() -> bool:
                answers = [await http.get(f"{place.origin}/web", headers={"cookie": cookie}) for _ in range(4)]
                return {answer.status_code for answer in answers} == {401}

            await until(ended, "both workers", 10)


async def test_keycloak_away_signs_nobody_out(place: Place, browser: Browser, keycloak: Any) -> None:
    """Where it takes a refresh token twice. One that is good once it may have spent before its answer was lost."""
    place.admin.call("PUT", "realms/people", {"revokeRefreshToken": False})
    async with person(browser) as alice:
        page = await alice.new_page()
        await sign_in(page, place, "alice")
        cookie = await cookie_of(alice, place)
        async with httpx2.AsyncClient(trust_env=False, timeout=30) as http:

            async def status() -> int:
                return (await http.get(f"{place.origin}/web", headers={"cookie": cookie})).status_code

            with keycloak.paused():
                await until(lambda: awaited(status, 503), "the tokens' end", LIFESPAN + 20)
            await until(lambda: awaited(status, 200), "the refresh", 30)
    place.admin.call("PUT", "realms/people", {"revokeRefreshToken": True})


async def awaited(status: Any, code: int) -> bool:
    return await status() == code


async def cookie_of(context: BrowserContext, place: Place) -> str:
    (found,) = [cookie for cookie in await context.cookies(place.origin) if cookie["name"] == "plangate"]
    return f"plangate={found['value']}"
