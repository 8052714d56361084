"""What is refused, by the tables of `corpus/sso`: forged answers, mix-ups, tokens of others, targets elsewhere."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode

import httpx2
import jwt
import pytest
from corpus.sso import callbacks, id_tokens, logout_tokens, targets
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rigs.sign_on import NAVIGATION, PLANS, Browser, Stage, stage

from gateway.sso.browser import target_of

TWO = PLANS.replace(
    "services:\n",
    """  partner:
    oidc: {issuer: "${ISSUER}", audience: gateway, sign_in: {client_id: gateway-web, client_secret: "${SECRET}"}}
services:
""",
    1,
).replace("[{sign_in: keycloak}]", "[{sign_in: [keycloak, partner]}]")


@pytest.mark.parametrize("target", targets.KEPT)
def test_a_path_of_the_same_origin_is_kept(target: str) -> None:
    assert target_of(target) == target


@pytest.mark.parametrize("name", targets.REPLACED)
def test_a_target_elsewhere_is_the_root(name: str) -> None:
    assert target_of(targets.REPLACED[name]) == "/"


@given(st.text(max_size=60))
@example("/\\/")
def test_no_target_leaves_the_origin(text: str) -> None:
    joined = httpx2.URL("https://shop.example/web/").join(target_of(text))
    assert (joined.scheme, joined.host, joined.port) == ("https", "shop.example", None)


async def back(browser: Browser, name: str = "alice") -> httpx2.URL:
    """The address that the provider sends a browser back to."""
    asked = await browser.go("/.sso/login?provider=keycloak&to=/web/page")
    return httpx2.URL((await browser.say(asked, name)).headers["location"])


@pytest.mark.parametrize("case", callbacks.CASES, ids=lambda case: case.name)
async def test_an_answer_that_is_not_the_one_asked_for(case: callbacks.Case, tmp_path: object) -> None:
    async with stage(tmp_path, TWO) as web, web.browser() as browser, web.browser() as other:
        elsewhere = parse_qsl((await back(other, "bob")).query.decode())
        query = parse_qsl((await back(browser)).query.decode())
        mine = {name: value for name, value in browser.cookies().items() if name.startswith("plangate")}
        sent = case.change(callbacks.Sent(query, mine, elsewhere))
        cookie = "; ".join(f"{name}={value}" for name, value in sent.cookies.items())
        async with httpx2.AsyncClient(base_url=web.origin, trust_env=False, verify=False) as http:
            headers = {**NAVIGATION, "cookie": cookie}
            answer = await http.get(f"{sent.path}?{urlencode(sent.query)}", headers=headers)
        assert answer.status_code in (400, 403, 503), answer.text
        assert f"<code>{case.code}</code>" in answer.text
        assert "set-cookie" not in answer.headers
        assert "<script" not in answer.text


@pytest.mark.parametrize("case", id_tokens.CASES, ids=lambda case: case.name)
async def test_an_id_token_that_proves_nothing(case: id_tokens.Case, web: Stage) -> None:
    def twisted(claims: dict[str, object], *algorithm: str, **header: object) -> str:
        if claims.get("typ") != "ID":
            return sign(claims, *algorithm, **header)
        return forged(web, claims, case.claims, case.header)

    sign, web.provider.sign = web.provider.sign, twisted
    async with web.browser() as browser:
        address = await back(browser)
        answer = await browser.get(str(address))
        assert answer.status_code == 502, answer.text
        assert "<code>provider_wrong</code>" in answer.text
        assert "plangate" not in browser.cookies()


@pytest.mark.parametrize("case", logout_tokens.CASES, ids=lambda case: case.name)
async def test_a_logout_token_that_ends_nothing(case: logout_tokens.Case, web: Stage) -> None:
    async with web.browser() as browser:
        await browser.sign_in()
        (visit,) = web.people.visits.values()
        claims = jwt.decode(web.people.logout_token(visit, "gateway-web"), options={"verify_signature": False})
        token = forged(web, claims, case.claims, {"typ": "logout+jwt", **case.header})
        answer = await browser.http.post("/.sso/keycloak/back-channel", data={"logout_token": token})
        assert answer.status_code == 400
        assert answer.json()["error"] == "invalid_request"
        assert (await browser.get("/web/page")).status_code == 200


def forged(web: Stage, claims: dict[str, object], change: dict[str, object], header: dict[str, object]) -> str:
    issuer = {name: value.replace("@issuer", web.issuer) for name, value in change.items() if isinstance(value, str)}
    made = {name: value for name, value in {**claims, **change, **issuer}.items() if value is not None}
    if header.get("alg") == "none":
        return jwt.encode(made, None, "none", {"typ": header.get("typ", "JWT")})
    if header.get("alg") == "HS256":
        return jwt.encode(made, web.provider.client("gateway-web").secret, "HS256", {"typ": header.get("typ", "JWT")})
    return web.provider.keys.sign(made, "RS256", dict(header))


async def test_an_answer_is_good_once(web: Stage) -> None:
    async with web.browser() as browser:
        address = str(await back(browser))
        cookies = dict(browser.cookies())
        assert (await browser.get(address)).status_code == 303
        for name, value in cookies.items():
            browser.http.cookies.set(name, value, domain="127.0.0.1", path="/")
        again = await browser.get(address)
        assert again.status_code == 400
        assert "<code>sign_in_over</code>" in again.text


async def test_a_sign_in_takes_ten_minutes_at_most(web: Stage) -> None:
    async with web.browser() as browser:
        address = str(await back(browser))
        web.clock.now += 601
        answer = await browser.get(address)
        assert "<code>sign_in_over</code>" in answer.text


async def test_a_session_is_of_a_new_cookie_whatever_the_browser_had(web: Stage) -> None:
    """Fixation: who could plant a cookie would know the session of who signs in."""
    async with web.browser() as browser, web.browser() as victim:
        await browser.sign_in()
        planted = browser.session
        victim.http.cookies.set("plangate", planted, domain="127.0.0.1", path="/")
        await victim.get("/.sso/logout")
        address = await back(victim_without(victim), "bob")
        victim.http.cookies.set("plangate", planted, domain="127.0.0.1", path="/")
        await victim.get(str(address))
        assert planted not in [cookie.value for cookie in victim.http.cookies.jar if cookie.name == "plangate"][-1:]
        answer = await browser.get("/web/page", {"cookie": f"plangate={planted}"})
        assert answer.status_code == 401  # the one that was planted has ended


def victim_without(browser: Browser) -> Browser:
    browser.http.cookies.delete("plangate", domain="127.0.0.1", path="/")
    return browser


UNSAFE = {
    "another site": {"sec-fetch-site": "cross-site"},
    "a sibling of the site": {"sec-fetch-site": "same-site"},
    "another origin": {"origin": "https://evil.example"},
    "an opaque origin": {"origin": "null"},
    "another port": {"origin": "http://127.0.0.1:1"},
    "another scheme": {"origin": "@https"},
    "nobody says from where": {},
    "two origins": {"origin": "@self, https://evil.example"},
}


@pytest.mark.parametrize("name", UNSAFE)
async def test_what_another_site_sends_with_the_cookie_does_nothing(name: str, web: Stage) -> None:
    async with web.browser() as browser:
        await browser.sign_in()
        port = web.origin.rpartition(":")[2]
        headers = {
            key: value.replace("@https", f"https://127.0.0.1:{port}").replace("@self", web.origin)
            for key, value in UNSAFE[name].items()
        }
        answer = await browser.http.post("/web/page", headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (403, "cross_site")
        answer = await browser.http.post(
            "/.sso/logout", headers={**NAVIGATION, "sec-fetch-site": "cross-site", **headers}
        )
        assert answer.status_code == 403
        assert (await browser.get("/web/page")).status_code == 200


async def test_what_a_page_of_the_same_origin_sends_counts(web: Stage) -> None:
    async with web.browser() as browser:
        await browser.sign_in()
        for headers in ({"sec-fetch-site": "same-origin"}, {"origin": web.origin}):
            assert (await browser.http.post("/web/page", headers=headers)).status_code == 200


COOKIES = {
    "forged": "plangate=" + "A" * 43,
    "cut off": "plangate=@short",
    "too long": "plangate=@A",
    "changed": "plangate=@changed",
    "of other characters": "plangate=<script>",
    "empty": "plangate=",
    "by the name for https": "__Host-plangate=@",
    "twice": "plangate=@; plangate=@",
    "and another": "plangate=" + "A" * 43 + "; plangate=@",
}


@pytest.mark.parametrize("name", COOKIES)
async def test_a_cookie_that_is_no_sessions(name: str, web: Stage) -> None:
    async with web.browser() as browser:
        await browser.sign_in()
        good = browser.session
        other = ("A" if good[0] != "A" else "B") + good[1:]
        cookie = COOKIES[name].replace("@short", good[:-1]).replace("@changed", other).replace("@", good)
        async with httpx2.AsyncClient(base_url=web.origin, trust_env=False, verify=False) as http:
            program = await http.get("/web/page", headers={"cookie": cookie})
            person = await http.get("/web/page", headers={"cookie": cookie, **NAVIGATION})
        ambiguous = name in ("twice", "and another")
        assert program.status_code == (400 if ambiguous else 401)
        assert person.status_code == (400 if ambiguous else 302)


async def test_a_session_of_another_providers_does_not_count(tmp_path: object) -> None:
    plans = TWO.replace("[{sign_in: [keycloak, partner]}]", "[{sign_in: partner}]")
    async with stage(tmp_path, plans) as web, web.browser() as browser:
        await browser.sign_in("/both/page")
        answer = await browser.get("/web/page", {})
        assert (answer.status_code, answer.json()["code"]) == (401, "sign_in_elsewhere")
        assert (await browser.get("/web/page")).status_code == 302


@settings(max_examples=30, deadline=None)
@given(st.binary(max_size=200))
def test_any_form_is_read_or_refused(body: bytes) -> None:
    from gateway.sso.forms import parameters
    from gateway.sso.refusals import BadSignOn

    try:
        parameters(body.decode("latin-1"))
    except BadSignOn as error:
        assert error.status == 400
