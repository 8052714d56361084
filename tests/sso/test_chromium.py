"""Sign-on clicked in Chromium, over https, with the cookies and policies that a browser enforces."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, Response
from rigs.chromium import chromium
from rigs.sign_on import Stage, stage
from rigs.tls import Files
from rigs.waiting import until
from sso.test_attacks import TWO

pytestmark = [pytest.mark.chromium, pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as it:
        yield it


@pytest_asyncio.fixture(loop_scope="module")
async def web(tmp_path: Path) -> AsyncIterator[Stage]:
    files = Files(tmp_path)
    listener = files.listener(files.certificate("127.0.0.1"))
    (tmp_path / "plans").mkdir()
    async with stage(tmp_path / "plans", TWO, listener=listener) as it:
        yield it


@pytest_asyncio.fixture(loop_scope="module")
async def person(browser: Browser) -> AsyncIterator[BrowserContext]:
    context = await browser.new_context(ignore_https_errors=True)
    context.set_default_timeout(20_000)
    yield context
    await context.close()


async def sign_in(page: Page, web: Stage, path: str = "/web/page", name: str = "Alice Liddell") -> None:
    await page.goto(f"{web.origin}{path}")
    await page.get_by_role("link", name="Our company").click()
    await page.get_by_role("button", name=name).click()
    await page.wait_for_url(f"{web.origin}{path}")


async def test_in_and_out(web: Stage, person: BrowserContext) -> None:
    page = await person.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    await sign_in(page, web, "/web/page?a=1")
    assert "x-application-id: website" in await page.inner_text("body")
    (session,) = [cookie for cookie in await person.cookies(web.origin) if "plangate" in cookie["name"]]
    assert (session["name"], session["httpOnly"], session["secure"], session["sameSite"]) == (
        "__Host-plangate", True, True, "Lax",
    )  # fmt: skip
    assert await page.evaluate("document.cookie") == ""
    await page.goto(f"{web.origin}/.sso/logout")
    await page.get_by_role("button", name="Sign out").click()
    await page.wait_for_url(f"{web.origin}/.sso/signed-out")  # by way of the provider
    assert await page.get_by_role("heading").inner_text() == "You are signed out"
    assert web.people.visits == {}
    await page.goto(f"{web.origin}/web/page")
    assert await page.get_by_role("heading").inner_text() == "Sign in"
    assert [text for text in complaints if "Content Security Policy" in text] == []


async def test_a_script_of_a_page_is_told_401_and_the_page_itself_is_sent_to_sign_in(
    web: Stage, person: BrowserContext
) -> None:
    page = await person.new_page()
    await sign_in(page, web)
    ask = "fetch('/web/data').then(answer => answer.status)"
    assert await page.evaluate(ask) == 200
    assert await page.evaluate("fetch('/web/data', {method: 'POST'}).then(answer => answer.status)") == 200
    await web.end_all()
    assert await page.evaluate(ask) == 401
    await page.goto(f"{web.origin}/web/page")
    assert "/.sso/login" in page.url


async def test_another_site_can_post_nothing_with_the_session(web: Stage, person: BrowserContext) -> None:
    """From http to https it is another site: the browser keeps the cookie back."""
    page = await person.new_page()
    await sign_in(page, web)
    other = await person.new_page()
    answer = await posted_from_elsewhere(other, web)
    assert (answer.status, answer.url) == (200, f"{web.origin}/.sso/unsent?to=/web/page")
    assert await other.get_by_role("heading").inner_text() == "Sign in first"
    await page.goto(f"{web.origin}/web/page")
    assert "x-subject" in await page.inner_text("body")


async def test_another_origin_of_the_same_site_can_post_nothing_either(tmp_path: Path, browser: Browser) -> None:
    """Another port of the host: the browser sends the cookie, and says from where."""
    async with stage(tmp_path) as web:
        person = await browser.new_context()
        page = await person.new_page()
        await page.goto(f"{web.origin}/web/page")
        await page.get_by_role("button", name="Bob Baker").click()
        await page.wait_for_url(f"{web.origin}/web/page")
        answer = await posted_from_elsewhere(await person.new_page(), web)
        assert (answer.status, (await answer.json())["code"]) == (403, "cross_site")
        await page.goto(f"{web.origin}/web/page")
        assert "x-subject" in await page.inner_text("body")
        await person.close()


async def posted_from_elsewhere(page: Page, web: Stage) -> Response:
    """What a form on a page of the provider's origin is told, which posts to the service."""
    await page.goto(f"{web.issuer}/account")
    await page.set_content(f"<form method=post action={web.origin}/web/page><button>x</button></form>")
    async with page.expect_navigation() as gone:
        await page.get_by_role("button").click()
    answer = await gone.value
    assert answer is not None
    return answer


async def test_a_form_of_an_ended_session_is_not_lost(web: Stage, person: BrowserContext) -> None:
    """As its page advises: a new tab to sign in, back to the form, which still has what was written."""
    page = await person.new_page()
    await sign_in(page, web)
    form = "<form method=post action=/web/page><input name=text aria-label=Text><button>Send</button></form>"
    await person.route(f"{web.origin}/web/form", lambda route: route.fulfill(body=form, content_type="text/html"))
    await page.goto(f"{web.origin}/web/form")
    await page.get_by_label("Text").fill("a long letter")
    await web.end_all()
    await page.get_by_role("button", name="Send").click()
    assert await page.get_by_role("heading").inner_text() == "Sign in first"
    assert page.url == f"{web.origin}/.sso/unsent?to=/web/form"
    async with person.expect_page() as opened:
        await page.get_by_role("link", name="Sign in").click(modifiers=["Control"])
    other = await opened.value
    await other.get_by_role("link", name="Our company").click()
    await other.wait_for_url(f"{web.origin}/web/form")
    await page.go_back()
    assert await page.get_by_label("Text").input_value() == "a long letter"
    await page.get_by_role("button", name="Send").click()
    assert "POST /web/page" in await page.inner_text("body")
    assert "text=a+long+letter" in await page.inner_text("body")


async def test_two_tabs_refresh_once(web: Stage, person: BrowserContext) -> None:
    first = await person.new_page()
    await sign_in(first, web)
    second = await person.new_page()
    web.clock.now += 280
    await asyncio.gather(*(page.goto(f"{web.origin}/web/page") for page in (first, second)))
    for page in (first, second):
        assert "x-subject" in await page.inner_text("body")
    assert (web.asked.count("token"), web.people.spent) == (2, 0)


async def test_a_logout_at_the_provider_reaches_the_gateway_by_the_back_channel(
    tmp_path: Path, browser: Browser
) -> None:
    async with stage(tmp_path) as web:
        person = await browser.new_context()
        page = await person.new_page()
        await page.goto(f"{web.origin}/web/page")
        await page.get_by_role("button", name="Bob Baker").click()
        await page.wait_for_url(f"{web.origin}/web/page")
        other = await person.new_page()
        await other.goto(f"{web.issuer}/account")
        await other.get_by_role("link", name="Sign out").click()
        await until(lambda: web.people.visits == {})
        await page.goto(f"{web.origin}/web/page")
        assert "Who are you?" in await page.inner_text("h1")
        await person.close()


async def test_a_sign_in_that_is_begun_twice_ends_in_both_tabs(web: Stage, person: BrowserContext) -> None:
    first, second = await person.new_page(), await person.new_page()
    for page, path in ((first, "/web/one"), (second, "/web/two")):
        await page.goto(f"{web.origin}{path}")
        await page.get_by_role("link", name="Our company").click()
    for page, path in ((second, "/web/two"), (first, "/web/one")):
        await page.get_by_role("button", name="Alice Liddell").click()
        await page.wait_for_url(f"{web.origin}{path}")


async def test_an_answer_that_is_used_again_has_a_page_with_a_way_on(web: Stage, person: BrowserContext) -> None:
    page = await person.new_page()
    answers: list[str] = []
    page.on("request", lambda request: answers.append(request.url) if "/callback" in request.url else None)
    await sign_in(page, web)
    await page.goto(answers[0])
    assert await page.get_by_role("heading").inner_text() == "Sign-in did not work"
    assert "not_begun_here" in await page.inner_text("main")
    await page.get_by_role("link", name="Try again").click()
    await page.wait_for_url(f"{web.origin}/")  # the session is there all the same


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_pages_can_be_used_by_keyboard_and_fit_a_telephone(scheme: str, web: Stage, browser: Browser) -> None:
    person = await browser.new_context(
        ignore_https_errors=True,
        color_scheme=scheme,  # type: ignore[arg-type]
        viewport={"width": 320, "height": 560},
    )
    page = await person.new_page()
    await page.goto(f"{web.origin}/web/page")
    await page.keyboard.press("Tab")
    assert await page.evaluate("document.activeElement.innerText") == "Our company"
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    paper = await page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert paper == {"light": "rgb(255, 255, 255)", "dark": "rgb(22, 25, 29)"}[scheme]
    height = await page.evaluate("document.querySelector('.button').getBoundingClientRect().height")
    assert height >= 44  # WCAG 2.2, 2.5.8 asks for 24
    await page.keyboard.press("Enter")
    await page.get_by_role("heading", name="Who are you?").wait_for()
    await person.close()
