"""A form that is sent without a session: a page says that it was not taken, and nothing is sent again."""

from __future__ import annotations

from collections.abc import Mapping

import httpx2
import pytest
from rigs.sign_on import NAVIGATION, Browser, Stage


async def send(browser: Browser, headers: Mapping[str, str]) -> httpx2.Response:
    """A form, by these headers beside its own."""
    return await browser.http.post("/web/page?x=1", data={"text": "wanted"}, headers=dict(headers))


async def test_a_form_of_an_ended_session_leads_to_a_page_and_back_to_the_form(web: Stage) -> None:
    async with web.browser() as browser:
        await browser.sign_in()
        await web.end_all()
        from_here = NAVIGATION | {"sec-fetch-site": "same-origin", "referer": f"{web.origin}/web/form?id=7#part"}
        answer = await send(browser, from_here)
        assert (answer.status_code, answer.headers["location"]) == (303, "/.sso/unsent?to=/web/form%3Fid%3D7")
        page = await browser.get(answer.headers["location"])
        assert page.status_code == 200
        assert "was not taken" in page.text
        assert 'href="/.sso/login?to=/web/form%3Fid%3D7"' in page.text
        back = await browser.go("/.sso/login?to=/web/form%3Fid%3D7")  # the provider still knows who it is
        assert str(back.url) == f"{web.origin}/web/form?id=7"
        assert "wanted" not in back.text


@pytest.mark.parametrize(
    "referer",
    [None, "https://evil.example/form", "http://127.0.0.1/form", "nonsense", "http://[", "//evil.example/", "\xff"],
)
async def test_where_the_form_was_is_not_known(web: Stage, referer: str | None) -> None:
    """Then the way back is to the form's own address."""
    async with web.browser() as browser:
        told = [] if referer is None else [(b"referer", referer.encode("latin-1"))]
        known = [(name.encode(), value.encode()) for name, value in NAVIGATION.items()]
        answer = await browser.http.post("/web/page?x=1", data={"text": "wanted"}, headers=[*known, *told])
        assert (answer.status_code, answer.headers["location"]) == (303, "/.sso/unsent?to=/web/page%3Fx%3D1")


async def test_an_old_browser_is_known_by_what_its_forms_are(web: Stage) -> None:
    async with web.browser() as browser:
        assert (await send(browser, {"accept": "text/html"})).status_code == 303
        as_json = await browser.http.post("/web/page", json={}, headers={"accept": "text/html"})
        assert as_json.status_code == 401


async def test_scripts_are_told_401(web: Stage) -> None:
    async with web.browser() as browser:
        await browser.sign_in()
        await web.end_all()
        answer = await send(browser, {"sec-fetch-mode": "cors", "sec-fetch-site": "same-origin", "accept": "text/html"})
        assert (answer.status_code, answer.json()["code"]) == (401, "session_ended")


@pytest.mark.parametrize("target", ["//evil.example", "/\\evil.example", "https://evil.example", "/.sso/logout"])
async def test_the_page_leads_nowhere_else(web: Stage, target: str) -> None:
    async with web.browser() as browser:
        page = await browser.get(str(httpx2.URL("/.sso/unsent", params={"to": target})))
        assert 'href="/.sso/login?to=/"' in page.text
        assert "evil" not in page.text
