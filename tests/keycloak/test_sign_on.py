"""Sign-on at Keycloak, clicked in Chromium: in and out, refreshed and ended, with a gateway as a user starts it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Request
from rigs.chromium import chromium
from rigs.waiting import until

from .people import LIFESPAN, Place, asked_to_sign_in, cookie_of, over, people, person, sign_in
from .realms import Admin

pytestmark = [
    pytest.mark.keycloak,
    pytest.mark.chromium,
    pytest.mark.timeout(180, func_only=True),
    pytest.mark.asyncio(loop_scope="module"),
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place(admin: Admin, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    async with people(admin, tmp_path_factory.mktemp("sign-on")) as it:
        yield it


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as it:
        yield it


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
        assert told["services"]["web"]["application"] == "website"
        (limit,) = told["services"]["web"]["limits"]
        assert (limit["limit"], limit["per"], limit["used"] > 0) == (1000, "user", True)


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
        await over(place, cookie)
        assert await asked_to_sign_in(page, place)


async def test_a_logout_at_keycloak_arrives_by_the_front_channel(place: Place, browser: Browser) -> None:
    """By a frame in Keycloak's page. `localhost` is another site than 127.0.0.1, where Keycloak is: the frame gets no
    cookie, and the session is found by its name."""
    there = replace(place, origin=place.origin.replace("127.0.0.1", "localhost"))
    with client_changed(place, frontchannel(there.origin)):
        async with person(browser) as alice:
            page = await alice.new_page()
            await sign_in(page, there, "alice")
            framed: list[Request] = []
            page.on("request", lambda request: framed.append(request) if "/front-channel" in request.url else None)
            await page.goto(f"{place.realm.issuer}/protocol/openid-connect/logout")
            await page.locator("#kc-logout").click()
            await until(lambda: bool(framed), "the frame", 20)
            answer = await framed[0].response()
            assert answer is not None and answer.status == 200
            assert parse_qs(urlsplit(framed[0].url).query)["iss"] == [place.realm.issuer]
            assert "cookie" not in await framed[0].all_headers()
            assert "x-frame-options" not in answer.headers
            await over(place, await cookie_of(alice, there))
            assert await asked_to_sign_in(page, there)


def frontchannel(origin: str) -> dict[str, Any]:
    """What docs/sign-on.md has for a Keycloak that cannot reach the gateway."""
    return {
        "frontchannelLogout": True,
        "redirectUris": [f"{origin}/.sso/keycloak/callback"],
        "attributes": {
            "frontchannel.logout.url": f"{origin}/.sso/keycloak/front-channel",
            "frontchannel.logout.session.required": "true",
            "backchannel.logout.url": "",
        },
    }


@contextlib.contextmanager
def client_changed(place: Place, changes: dict[str, Any]) -> Iterator[None]:
    """While the block runs."""
    path = f"clients/{place.call('GET', 'clients?clientId=gateway-web')[0]['id']}"
    client = place.call("GET", path)
    attributes = client["attributes"] | changes.get("attributes", {})
    place.call("PUT", path, client | changes | {"attributes": attributes})
    try:
        yield
    finally:
        place.call("PUT", path, client)


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
    with client_changed(place, {"attributes": {"backchannel.logout.url": "http://127.0.0.1:1/"}}):
        async with person(browser) as bob:
            page = await bob.new_page()
            await sign_in(page, place, "bob")
            place.call("POST", f"users/{place.user('bob')}/logout")
            await page.goto(f"{place.origin}/web")
            assert page.url == f"{place.origin}/web"  # nobody has told the gateway
            await asyncio.sleep(LIFESPAN - 5)
            assert await asked_to_sign_in(page, place)


async def test_an_operator_sees_and_ends_sessions(place: Place, browser: Browser) -> None:
    async with person(browser) as alice:
        page = await alice.new_page()
        await sign_in(page, place, "alice")
        user = place.user("alice")
        assert user in await place.gateway("ls", str(place.plans))
        assert user in await place.gateway("end", str(place.plans), "--subject", user)
        await over(place, await cookie_of(alice, place))


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
