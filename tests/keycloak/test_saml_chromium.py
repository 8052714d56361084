"""Keycloak's own pages clicked in Chromium, for people who sign in by SAML."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect
from rigs.chromium import chromium
from rigs.gateway import Gateway

from .realms import Admin, Realm
from .saml import ENCRYPTED, register, saml_realm
from .stage import Service
from .test_saml import gateway_of
from .test_saml_brokered import brokered

pytestmark = [
    pytest.mark.keycloak,
    pytest.mark.chromium,
    pytest.mark.timeout(180, func_only=True),
    pytest.mark.asyncio(loop_scope="module"),
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as it:
        yield it


def site(gateway: Gateway) -> str:
    """`localhost` is another site than 127.0.0.1, where Keycloak is."""
    return gateway.url.replace("127.0.0.1", "localhost")


async def start(browser: Browser, admin: Admin, realm: Realm, gateway: Gateway) -> Page:
    """A browser of its own; the gateway is registered by the metadata that it serves there."""
    context = await browser.new_context()
    context.set_default_timeout(30_000)
    page = await context.new_page()
    metadata = await page.request.get(f"{site(gateway)}/.sso/partner/metadata")
    register(admin, realm, await metadata.body(), frontchannelLogout="true", **ENCRYPTED)
    return page


async def sign_in(page: Page, realm: Realm, gateway: Gateway) -> None:
    await page.goto(f"{site(gateway)}/orders")
    await page.fill("#username", "alice")
    await prove(page, realm, gateway)


async def prove(page: Page, realm: Realm, gateway: Gateway) -> None:
    await page.fill("#password", realm.secret)
    await page.click("#kc-login")
    await page.wait_for_url(f"{site(gateway)}/orders")
    assert '"subject":"alice"' in await page.inner_text("body")


async def test_in_and_out_at_the_gateway(admin: Admin, browser: Browser, orders: Service, tmp_path: Path) -> None:
    realm = saml_realm(admin)
    async with gateway_of(orders, realm, tmp_path) as gateway:
        page = await start(browser, admin, realm, gateway)
        await sign_in(page, realm, gateway)
        await page.goto(f"{site(gateway)}/.sso/logout")
        await page.click("button")
        await page.wait_for_url(f"{site(gateway)}/.sso/signed-out")
        await page.goto(f"{site(gateway)}/orders")
        await expect(page.locator("#username")).to_be_visible()  # the realm asks again


async def test_a_sign_in_that_is_too_long_ago_is_done_again(
    admin: Admin, browser: Browser, orders: Service, tmp_path: Path
) -> None:
    """The realm's session is there still, and would be enough without ForceAuthn."""
    realm = saml_realm(admin)
    async with gateway_of(orders, realm, tmp_path, "require: {max_age: 6s}") as gateway:
        page = await start(browser, admin, realm, gateway)
        await sign_in(page, realm, gateway)
        await page.wait_for_timeout(7_000)  # the realm's clock is its own
        told = await page.evaluate("fetch('/orders').then(answer => answer.json())")
        assert told["code"] == "insufficient_user_authentication"
        await page.goto(f"{site(gateway)}/orders")
        await prove(page, realm, gateway)


async def test_a_person_whom_a_realm_brokers(admin: Admin, browser: Browser, orders: Service, tmp_path: Path) -> None:
    """From the gateway by OIDC to one realm, from there by SAML to the other, and back by both."""
    async with brokered(admin, orders, tmp_path) as (gateway, upstream):
        context = await browser.new_context()
        context.set_default_timeout(30_000)
        page = await context.new_page()
        await page.goto(f"{gateway.url}/orders")
        await page.click("#social-upstream")
        await page.fill("#username", "alice")
        await page.fill("#password", upstream.secret)
        await page.click("#kc-login")
        await page.wait_for_url(f"{gateway.url}/orders")
        assert '"application":"staff"' in await page.inner_text("body")
        await page.goto(f"{gateway.url}/.sso/me")
        assert '"email":"alice@example.com"' in await page.inner_text("body")
        await context.close()


async def test_out_at_the_realm(admin: Admin, browser: Browser, orders: Service, tmp_path: Path) -> None:
    realm = saml_realm(admin)
    async with gateway_of(orders, realm, tmp_path) as gateway:
        page = await start(browser, admin, realm, gateway)
        await sign_in(page, realm, gateway)
        await page.goto(f"{realm.issuer}/protocol/openid-connect/logout")
        await page.click("#kc-logout")
        await expect(page.locator("body")).to_contain_text("logged out")
        await page.wait_for_timeout(1_000)  # marks are known everywhere within a second
        await page.goto(f"{site(gateway)}/orders")
        await expect(page.locator("#username")).to_be_visible()
