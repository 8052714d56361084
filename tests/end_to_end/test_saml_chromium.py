"""SAML clicked in Chromium: the provider is another site, so its form brings none of the gateway's cookies."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect
from rigs.chromium import chromium
from rigs.gateway import Gateway
from rigs.stage import Stage

from gateway.devkit.saml import SamlProvider

from .test_saml import signing_in

pytestmark = [pytest.mark.chromium, pytest.mark.slow, pytest.mark.asyncio(loop_scope="session")]


@pytest_asyncio.fixture(loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as it:
        yield it


def site(gateway: Gateway) -> str:
    """`localhost` is another site than 127.0.0.1, where the provider is."""
    return gateway.url.replace("127.0.0.1", "localhost")


async def sign_in(page: Page, gateway: Gateway) -> None:
    await page.goto(f"{site(gateway)}/orders?a=1")
    await page.click("#ada")
    await page.wait_for_url(f"{site(gateway)}/orders?a=1")
    assert '"subject":"ada"' in await page.inner_text("body")


async def register(page: Page, gateway: Gateway, provider: SamlProvider) -> None:
    """By the metadata of the site that the browser goes to."""
    answer = await page.request.get(f"{site(gateway)}/.sso/partner/metadata")
    provider.register(await answer.body())


async def test_in_and_out_at_the_gateway(stage: Stage, browser: Browser, tmp_path: Path) -> None:
    async with signing_in(stage, tmp_path, encrypts=True) as (gateway, provider):
        page = await (await browser.new_context()).new_page()
        await register(page, gateway, provider)
        await sign_in(page, gateway)
        cookies = {cookie["name"]: cookie for cookie in await page.context.cookies(site(gateway))}
        assert cookies.keys() == {"plangate"}  # that of the sign-on is gone
        assert (cookies["plangate"]["httpOnly"], cookies["plangate"]["sameSite"]) == (True, "Lax")
        await page.goto(f"{site(gateway)}/.sso/logout")
        await page.click("button")
        await page.wait_for_url(f"{site(gateway)}/.sso/signed-out")
        await page.goto(f"{site(gateway)}/orders")
        await expect(page.locator("#ada")).to_be_visible()  # the provider asks again


async def test_out_at_the_provider(stage: Stage, browser: Browser, tmp_path: Path) -> None:
    async with signing_in(stage, tmp_path) as (gateway, provider):
        page = await (await browser.new_context()).new_page()
        await register(page, gateway, provider)
        await sign_in(page, gateway)
        await page.goto(f"{provider.address}/end?user=ada")
        assert await page.inner_text("body") == "Signed out everywhere."
        await page.wait_for_timeout(1_000)  # marks are known everywhere within a second
        await page.goto(f"{site(gateway)}/orders")
        await expect(page.locator("#ada")).to_be_visible()


async def test_what_is_refused_is_told_on_a_page(stage: Stage, browser: Browser, tmp_path: Path) -> None:
    """And the form of another site does not make a session for somebody else's browser."""
    async with signing_in(stage, tmp_path) as (gateway, provider):
        page = await (await browser.new_context()).new_page()
        await register(page, gateway, provider)
        await page.goto(f"{site(gateway)}/orders")
        form = await page.locator("form:has(#ada)").evaluate("form => form.outerHTML")
        other = await (await browser.new_context()).new_page()
        await other.goto(provider.address)
        await other.set_content(form)
        await other.click("#ada")
        await expect(other.locator("body")).to_contain_text("not_begun_here")
        assert await other.context.cookies(site(gateway)) == []
