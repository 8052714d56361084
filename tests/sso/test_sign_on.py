"""Signing in by a browser, from the page that somebody wants to see and back to it."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from rigs.sign_on import PLANS, Stage, stage

from gateway.quota.memory import MemoryLedger
from gateway.store import StoreAway


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
        answer = await browser.http.post("/web/data", headers={"accept": "text/html, */*;q=0.2"}, json={})
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


async def test_front_ends_are_told_what_holds_at_each_service(tmp_path: Path) -> None:
    """Of those on this host that take people of the provider and have a plan for this one."""
    more = """
  away: {path: /web, hosts: [other.example], upstream: {targets: ["http://127.0.0.1:1"]}, accept: [{sign_in: keycloak}],
    rules: [GET /: hits]}
  tokens: {path: /t, upstream: {targets: ["http://127.0.0.1:1"]}, accept: [{jwt: keycloak}], rules: [GET /: hits]}
  closed: {path: /c, upstream: {targets: ["http://127.0.0.1:1"]}, accept: [{sign_in: keycloak}], rules: [GET /: hits]}
plans:
"""
    plans = PLANS.replace("\nplans:\n", more).replace("[web, both]", "[web, both, away, tokens]")
    async with stage(tmp_path, plans) as web, web.browser() as browser:
        await browser.sign_in("/web/page")
        told = (await browser.get("/.sso/me", {})).json()["services"]
        assert list(told) == ["web", "both"]
        limit = {"plan": "staff", "metric": "hits", "period": "hour", "per": "user", "limit": 1000}
        rest = {"used": 1, "remaining": 999, "resets_at": "2027-01-15T09:00:00Z"}
        assert told["web"] == {"application": "website", "plan": "staff", "limits": [limit | rest]}
        assert told["both"] == told["web"]  # one limit over both


async def test_limits_that_cannot_be_read_are_503(web: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(*_: object) -> None:
        raise StoreAway("it does not answer")

    async with web.browser() as browser:
        await browser.sign_in()
        monkeypatch.setattr(MemoryLedger, "read", away)
        answer = await browser.get("/.sso/me", {})
        assert (answer.status_code, answer.json()["code"]) == (503, "ledger_down")
        assert (await browser.get("/web/page")).status_code == 200
