"""The provider's people, and the page that they come to: OIDC's rules as a gateway relies on them."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from hashlib import sha256

import httpx2
import jwt
import pytest
from rigs.sign_on import Clock, keys

from gateway.devkit.people import People, Rejected, WebClient, demo_people
from gateway.devkit.provider import WEB, Client, Provider
from gateway.devkit.servers import listener, serving
from gateway.devkit.web import web_app

VERIFIER = "v" * 43
ASKED = {
    "client_id": WEB,
    "redirect_uri": "https://shop.example/.sso/keycloak/callback",
    "response_type": "code",
    "code_challenge_method": "S256",
    "code_challenge": urlsafe_b64encode(sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode(),
    "nonce": "n",
    "scope": "openid",
}


@pytest.fixture
def people() -> People:
    clock = Clock(1_800_000_000.0)
    provider = Provider("https://sso.example/realms/demo", [Client(id=WEB)], clock, keys())
    return People(provider, [WebClient(urls=("https://shop.example/",))], demo_people(), clock)


def exchanged(people: People, **changed: str) -> dict[str, object]:
    code = people.code(people.sign_in("alice"), people.check(dict(ASKED)))
    form = {"code": code, "redirect_uri": ASKED["redirect_uri"], "code_verifier": VERIFIER, **changed}
    return people.exchange(WEB, form)


def test_a_code_becomes_tokens_of_the_person(people: People) -> None:
    tokens = exchanged(people)
    claims = jwt.decode(str(tokens["id_token"]), options={"verify_signature": False})
    assert (claims["preferred_username"], claims["nonce"], claims["aud"], claims["typ"]) == ("alice", "n", WEB, "ID")
    access = jwt.decode(str(tokens["access_token"]), options={"verify_signature": False})
    assert (access["sub"], access["sid"], access["azp"], access["typ"]) == (claims["sub"], claims["sid"], WEB, "Bearer")
    assert "staff" in access["realm_access"]["roles"]


@pytest.mark.parametrize(
    "changed", [{"code": "forged"}, {"redirect_uri": "https://shop.example/"}, {"code_verifier": "w" * 43}]
)
def test_a_code_is_for_its_own_request_alone(people: People, changed: dict[str, str]) -> None:
    with pytest.raises(Rejected, match=r"not valid|redirect_uri|PKCE"):
        exchanged(people, **changed)


@pytest.mark.parametrize(
    "changed",
    [
        {"client_id": "unknown"},
        {"redirect_uri": "https://evil.example/"},
        {"redirect_uri": "https://shop.example.evil.example/"},
        {"response_type": "token"},
        {"code_challenge_method": "plain"},
    ],
)
def test_a_request_is_refused_before_anybody_is_asked(people: People, changed: dict[str, str]) -> None:
    with pytest.raises(Rejected):
        people.check({**ASKED, **changed})


def test_a_refresh_token_is_good_once_and_its_second_use_ends_the_session(people: People) -> None:
    first = exchanged(people)
    second = people.refresh(WEB, {"refresh_token": str(first["refresh_token"])})
    assert second["refresh_token"] != first["refresh_token"]
    with pytest.raises(Rejected, match="reuse"):
        people.refresh(WEB, {"refresh_token": str(first["refresh_token"])})
    with pytest.raises(Rejected, match="Session not active"):
        people.refresh(WEB, {"refresh_token": str(second["refresh_token"])})


def test_a_pushed_request_is_used_once_and_by_its_client(people: People) -> None:
    uri = people.push(WEB, {name: value for name, value in ASKED.items() if name != "client_id"})
    with pytest.raises(Rejected):
        people.asked({"client_id": "other", "request_uri": uri})
    uri = people.push(WEB, dict(ASKED))
    assert people.asked({"client_id": WEB, "request_uri": uri})["nonce"] == "n"
    with pytest.raises(Rejected):
        people.asked({"client_id": WEB, "request_uri": uri})


async def test_the_page_for_people_shows_who_the_gateway_says_has_come() -> None:

    async with serving(web_app(), listener()) as url, httpx2.AsyncClient(trust_env=False) as http:
        answer = await http.get(f"{url}/web", headers={"x-subject": "<alice>", "x-plan": "people"})
        assert "<dd>&lt;alice&gt;</dd>" in answer.text
        assert "<dd>people</dd>" in answer.text
        assert "<dd>nobody</dd>" in answer.text
