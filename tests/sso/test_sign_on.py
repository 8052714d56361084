"""Signing in by a browser, from the page that somebody wants to see and back to it."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

from rigs.sign_on import NAVIGATION, Stage


async def test_a_person_signs_in_and_comes_back_to_the_page(web: Stage) -> None:
    async with web.browser() as browser:
        answer = await browser.sign_in("/web/page?a=1&b=2")
        assert answer.status_code == 200
        assert str(answer.url) == f"{web.origin}/web/page?a=1&b=2"
        assert "x-application-id: website\r\n" in answer.text
        assert f"x-subject: {web.people.people['alice'].id}\r\n" in answer.text
        assert "plangate" not in answer.text  # no cookie of the gateway's reaches the service
        assert set(browser.cookies()) == {"plangate", "DEVELOPMENT_IDENTITY"}  # that of the sign-on is gone
        assert (await browser.get("/web/other")).status_code == 200
    assert web.asked.count("token") == 1


async def test_the_way_out_is_as_strict_as_it_can_be(web: Stage) -> None:
    async with web.browser() as browser:
        first = await browser.get("/web/page?x=1")
        assert (first.status_code, first.headers["location"]) == (302, "/.sso/login?to=/web/page%3Fx%3D1")
        assert first.headers["cache-control"] == "no-store"
        second = await browser.get(first.headers["location"])
        place = urlsplit(second.headers["location"])
        asked = parse_qs(place.query)
        assert set(asked) == {"client_id", "request_uri"}  # the rest went by the back channel (RFC 9126)
        cookie = second.headers["set-cookie"]
        assert cookie.startswith("plangate-")
        assert cookie.endswith("; Path=/; HttpOnly; SameSite=Lax; Max-Age=600")
        assert "par/request" in "/".join(("par", "request")) and web.asked[-1] == "request"


async def test_a_program_gets_401_and_no_redirect(web: Stage) -> None:
    async with web.browser() as browser:
        for headers in (
            {"accept": "application/json"},
            {"sec-fetch-mode": "cors", "accept": "text/html"},
            {"accept": "text/html", "x-requested-with": "XMLHttpRequest"},
        ):
            answer = await browser.get("/web/data", headers)
            assert answer.status_code == 401
            assert answer.json()["code"] == "credentials_missing"
            assert answer.headers["www-authenticate"] == 'SignIn realm="web"'
        answer = await browser.http.post("/web/data", headers=NAVIGATION)
        assert answer.status_code == 401


async def test_who_am_i(web: Stage) -> None:
    async with web.browser() as browser:
        assert (await browser.get("/.sso/me", {})).status_code == 401
        await browser.sign_in()
        told = (await browser.get("/.sso/me", {})).json()
    assert told["claims"]["name"] == "Alice Liddell"
    assert told["provider"] == "keycloak"
    assert "staff" in told["roles"]
    assert "token" not in str(told)
