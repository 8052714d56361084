"""Signed out: by the person, by the provider, by an admin; here and everywhere."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx2
from rigs.sign_on import NAVIGATION, Stage, stage

SAME = {**NAVIGATION, "sec-fetch-site": "same-origin"}


async def test_a_person_signs_out_here_and_at_the_provider(web: Stage) -> None:
    async with web.browser() as browser:
        await browser.sign_in()
        session = browser.session
        leaving = await browser.post("/.sso/logout", {})
        assert leaving.status_code == 303
        place = urlsplit(leaving.headers["location"])
        asked = parse_qs(place.query)
        assert place.path.endswith("/protocol/openid-connect/logout")
        assert asked["post_logout_redirect_uri"] == [f"{web.origin}/.sso/signed-out"]
        assert "plangate" not in browser.cookies()
        gone = await browser.go(leaving.headers["location"])
        assert "You are signed out" in gone.text
        assert web.people.visits == {}
        answer = await browser.get("/web/page", {"cookie": f"plangate={session}"})
        assert answer.status_code == 401
        assert "Who are you?" in (await browser.go("/web/page")).text


async def test_a_link_of_the_same_site_signs_out_and_one_of_another_site_asks(web: Stage) -> None:
    async with web.browser() as browser:
        await browser.sign_in()
        for headers in (
            NAVIGATION,
            {**NAVIGATION, "sec-fetch-site": "cross-site"},
            {**SAME, "sec-purpose": "prefetch"},
        ):
            asked = await browser.get("/.sso/logout", headers)
            assert asked.status_code == 200
            assert "Sign out?" in asked.text
            assert "alice" in asked.text
        assert (await browser.get("/web/page")).status_code == 200
        assert (await browser.get("/.sso/logout", SAME)).status_code == 303
        assert (await browser.get("/web/page")).status_code == 302


async def test_who_is_not_signed_in_can_sign_out_all_the_same(web: Stage) -> None:
    async with web.browser() as browser:
        assert "You are signed out" in (await browser.go("/.sso/logout")).text


async def test_signing_out_while_the_provider_is_away_says_so(web: Stage) -> None:
    async with web.browser() as browser:
        await browser.sign_in()
        ways = web.site.pages.find(b"127.0.0.1", b"/.sso")._app.ways
        ways["keycloak"]._client.announced.latest = None
        ways["keycloak"]._client.announced._fetched = float("-inf")
        web.asked.append("away")
        answer = await browser.post("/.sso/logout", {})
        assert answer.status_code == 200
        assert "Our company could not be told" in answer.text
        assert (await browser.get("/web/page")).status_code == 302


async def test_a_store_that_is_away_ends_no_session_and_says_so(web: Stage) -> None:
    async with web.browser() as browser:
        await browser.sign_in()
        web.shared.records.away = True
        answer = await browser.post("/.sso/logout", {})
        assert answer.status_code == 503
        assert "set-cookie" not in answer.headers
        web.shared.records.away = False
        assert (await browser.get("/web/page")).status_code == 200


async def test_the_provider_ends_a_session_by_the_back_channel_on_every_gateway(tmp_path: Path) -> None:
    async with stage(tmp_path) as web, web.beside() as second, web.browser() as browser, web.browser() as other:
        await browser.sign_in()
        await other.sign_in(name="bob")
        cookie = {"cookie": f"plangate={browser.session}"}
        assert (await browser.http.get(f"{second.origin}/web/page", headers=cookie)).status_code == 200
        visit = next(visit for visit in web.people.visits.values() if visit.person.name == "alice")
        token = web.people.logout_token(visit, "gateway-web")
        answer = await browser.http.post("/.sso/keycloak/back-channel", data={"logout_token": token})
        assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
        for origin in (web.origin, second.origin):
            assert (await browser.http.get(f"{origin}/web/page", headers=cookie)).status_code == 401
        assert (await other.get("/web/page")).status_code == 200
        again = await browser.http.post("/.sso/keycloak/back-channel", data={"logout_token": token})
        assert (again.status_code, again.json()["error_description"]) == (400, "the logout token was used before")


async def test_a_logout_of_a_person_ends_all_their_sessions(web: Stage) -> None:
    async with web.browser() as first, web.browser() as second, web.browser() as other:
        await first.sign_in()
        await second.sign_in()
        await other.sign_in(name="bob")
        visit = next(visit for visit in web.people.visits.values() if visit.person.name == "alice")
        token = web.people.logout_token(visit, "gateway-web", sid=None)
        await first.http.post("/.sso/keycloak/back-channel", data={"logout_token": token})
        assert [(await b.get("/web/page")).status_code for b in (first, second, other)] == [302, 302, 200]


async def test_a_logout_ends_nothing_that_began_after_it(web: Stage) -> None:
    async with web.browser() as browser:
        await browser.sign_in()
        (visit,) = web.people.visits.values()
        token = web.people.logout_token(visit, "gateway-web", sid=None)
        await browser.go((await browser.post("/.sso/logout", {})).headers["location"])
        web.clock.now += 60
        await browser.sign_in()
        answer = await browser.http.post("/.sso/keycloak/back-channel", data={"logout_token": token})
        assert answer.status_code == 200
        assert (await browser.get("/web/page")).status_code == 200


async def test_a_back_channel_that_meets_a_store_that_is_away_can_be_tried_again(web: Stage) -> None:
    async with web.browser() as browser:
        await browser.sign_in()
        (visit,) = web.people.visits.values()
        form = {"logout_token": web.people.logout_token(visit, "gateway-web")}
        web.shared.records.away = True
        assert (await browser.http.post("/.sso/keycloak/back-channel", data=form)).status_code == 503
        web.shared.records.away = False
        assert (await browser.http.post("/.sso/keycloak/back-channel", data=form)).status_code == 200
        assert (await browser.get("/web/page")).status_code == 302


async def test_the_back_channel_takes_forms_only(web: Stage) -> None:
    async with httpx2.AsyncClient(base_url=web.origin, trust_env=False) as http:
        for sent in (
            {"json": {}},
            {"content": b"logout_token=a&logout_token=b"},
            {"data": {}},
            {"data": {"logout_token": "x"}},
        ):
            headers = {"content-type": "application/x-www-form-urlencoded"} if "content" in sent else {}
            assert (await http.post("/.sso/keycloak/back-channel", headers=headers, **sent)).status_code == 400
        assert (await http.get("/.sso/keycloak/back-channel")).status_code == 405


async def test_the_provider_ends_a_session_by_the_front_channel(web: Stage) -> None:
    async with web.browser() as browser:
        await browser.sign_in()
        (visit,) = web.people.visits.values()
        place = "/.sso/keycloak/front-channel"
        for query in ({}, {"iss": web.issuer}, {"sid": visit.sid}, {"iss": "https://evil.example", "sid": visit.sid}):
            assert (await browser.http.get(place, params=query)).status_code == 400
        assert (await browser.http.get(place, params={"iss": web.issuer, "sid": "another"})).status_code == 200
        assert web.shared.marks.get("revoked.session", f"{web.issuer} another") is None  # anybody could fill the store
        assert (await browser.get("/web/page")).status_code == 200
        answer = await browser.http.get(place, params={"iss": web.issuer, "sid": visit.sid})
        assert answer.status_code == 200
        assert "frame-ancestors http://127.0.0.1" in answer.headers["content-security-policy"]
        assert web.shared.marks.get("revoked.session", f"{web.issuer} {visit.sid}") is not None
        assert (await browser.get("/web/page")).status_code == 302


async def test_tokens_of_a_session_that_the_provider_ended_are_no_good_either(web: Stage) -> None:
    async with web.browser() as browser:
        await browser.sign_in()
        (visit,) = web.people.visits.values()
        bearer = {"authorization": f"Bearer {web.provider.token('gateway-web', sid=visit.sid)}"}
        assert (await browser.http.get("/both/page", headers=bearer | {"cookie": ""})).status_code == 200
        form = {"logout_token": web.people.logout_token(visit, "gateway-web")}
        await browser.http.post("/.sso/keycloak/back-channel", data=form)
        assert (await browser.http.get("/both/page", headers=bearer | {"cookie": ""})).status_code == 401


async def test_what_a_person_was_given_is_revoked_with_the_session_though_it_was_refreshed(web: Stage) -> None:
    async with web.browser() as browser:
        await browser.sign_in()
        web.clock.now += 280
        assert (await browser.get("/web/page")).status_code == 200
        alice = web.people.people["alice"].id
        await web.shared.marks.set("before.user", f"{web.issuer} {alice}", str(web.clock.now - 100))
        assert (await browser.get("/web/page")).status_code == 302
        assert (await browser.get("/.sso/me", {})).status_code == 401
        assert (await browser.go("/web/page")).status_code == 200
