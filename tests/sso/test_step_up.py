"""A page that asks for another way of signing in, or for a later one: people are sent to do that, once."""

from __future__ import annotations

from pathlib import Path

import pytest
from rigs.sign_on import PLANS, Stage, stage

STRONG = PLANS.replace("rules: [GET /: hits, POST /: hits]", "require: REQUIRE\n    rules: [GET /: hits, POST /: hits]")


def plans(require: str) -> str:
    return STRONG.replace("REQUIRE", require)


async def test_a_person_is_sent_to_sign_in_better_and_comes_back(tmp_path: Path) -> None:
    async with stage(tmp_path, plans("{acr: [gold]}")) as web, web.browser() as browser:
        await browser.sign_in("/both/page")
        first = browser.session
        step = await browser.get("/web/page?x=1")
        assert step.status_code == 302
        assert step.headers["location"] == "/.sso/login?to=/web/page%3Fx%3D1&provider=keycloak&acr=gold"
        answer = await browser.sign_in("/web/page?x=1")
        assert answer.status_code == 200
        assert str(answer.url) == f"{web.origin}/web/page?x=1"
        assert browser.session != first
        assert (await browser.get("/both/page")).status_code == 200


async def test_a_program_is_told_what_is_asked_for(tmp_path: Path) -> None:
    async with stage(tmp_path, plans("{acr: [gold]}")) as web, web.browser() as browser:
        await browser.sign_in("/both/page")
        answer = await browser.get("/web/data", {})
        assert (answer.status_code, answer.json()["code"]) == (401, "insufficient_user_authentication")
        assert 'acr_values="gold"' in answer.headers["www-authenticate"]


async def test_a_provider_that_does_not_do_it_leads_to_no_circle(tmp_path: Path) -> None:
    async with stage(tmp_path, plans("{acr: [platinum]}")) as web, web.browser() as browser:
        await browser.sign_in("/both/page")
        session = browser.session
        answer = await browser.sign_in("/web/page")
        assert answer.status_code == 403
        assert "<code>sign_in_too_weak</code>" in answer.text
        assert browser.session == session  # as it was
        assert (await browser.get("/both/page")).status_code == 200


async def test_a_sign_in_that_is_too_long_ago_is_done_again(tmp_path: Path) -> None:
    async with stage(tmp_path, plans("{max_age: 10m}"), lifespan=3600) as web, web.browser() as browser:
        await browser.sign_in()
        web.clock.now += 500
        assert (await browser.get("/web/page")).status_code == 200
        web.clock.now += 300
        assert (await browser.get("/web/page")).headers["location"].endswith("&provider=keycloak&max_age=600")
        assert (await browser.sign_in()).status_code == 200
        assert (await browser.get("/web/page")).status_code == 200


async def test_a_form_that_asks_for_a_better_sign_in_is_not_sent_again(tmp_path: Path) -> None:
    async with stage(tmp_path, plans("{acr: [gold]}")) as web, web.browser() as browser:
        await browser.sign_in("/both/page")
        answer = await browser.post("/web/page", {"text": "x"}, referer=f"{web.origin}/web/form?a=1")
        place = "/.sso/unsent?to=/web/form%3Fa%3D1&provider=keycloak&acr=gold"
        assert (answer.status_code, answer.headers["location"]) == (303, place)
        page = await browser.get(place)
        assert 'href="/.sso/login?provider=keycloak&amp;acr=gold&amp;to=/web/form%3Fa%3D1"' in page.text
        assert (await browser.sign_in("/.sso/login?provider=keycloak&acr=gold&to=/web/form")).status_code == 200


@pytest.mark.parametrize("query", ["acr=a%00b", "acr=%C3%A9", "max_age=-1", "max_age=1e9", "max_age=123456789"])
async def test_what_is_no_sign_in_is_refused(query: str, web: Stage) -> None:
    async with web.browser() as browser:
        for path in ("login", "unsent"):
            answer = await browser.get(f"/.sso/{path}?to=/web/page&{query}")
            assert answer.status_code == 400
            assert "<code>request_malformed</code>" in answer.text
