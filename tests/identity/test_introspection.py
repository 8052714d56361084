"""Opaque and lightweight tokens: the provider is asked about them, once, and what it says is held to the same rules."""

from __future__ import annotations

import asyncio
import logging
from base64 import b64encode
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from gateway.errors import TooMany, Unauthorized, Unavailable
from gateway.identity import introspection as module
from gateway.model import Identity, Introspection, Rate

JWT = {"jwt": "keycloak"}
NOW = 1_800_000_000
ASKS = Introspection(client_id="gateway", client_secret="s:cret", tokens=("opaque", "lightweight"))
EVERY = replace(ASKS, tokens=("all",))
OPAQUE = "mF_9.B5f-4.1JqM"  # of RFC 6750, which looks like a JWS to who counts dots


def lightweight(issuer, **claims: Any) -> str:
    """As Keycloak makes them: no audience, no roles."""
    return issuer.token(**{"aud": None, "realm_access": None, "resource_access": None, "jti": "j", **claims})


@pytest.fixture
def told(issuer):
    """Has the provider tell of a token: `told(token, sub=…)`; None leaves a claim out."""

    def tell(token: str, **changed: Any) -> str:
        issuer.told[token] = {"active": True, **issuer.claims(**{"token_type": "Bearer", "jti": "j", **changed})}
        return token

    return tell


async def refused(passport, service, ask, who, token: str) -> str:
    with pytest.raises(Unauthorized) as caught:
        await who(passport, service(JWT), ask.bearing(token))
    assert 'error="invalid_token"' in caught.value.challenges[0]
    return caught.value.code


async def test_an_opaque_token_is_asked_about_once(opened, issuer, service, ask, who, told):
    told(OPAQUE)
    protected = service(JWT)
    async with opened(introspection=ASKS) as passport:
        identity = await who(passport, protected, ask.bearing(OPAQUE))
        assert (identity.subject, identity.client_id, identity.proof) == ("4f1c", "mobile-app", ("jwt:keycloak",))
        assert identity.roles == {"customer", "orders:admin"}
        assert passport.identify(protected, ask.bearing(OPAQUE), print) is identity
    [form] = issuer.asked
    assert (form["token"], form["token_type_hint"]) == (OPAQUE, "access_token")


async def test_the_gateway_is_a_client_by_basic(opened, issuer, service, ask, who, told):
    """Both halves are encoded within it (RFC 6749 2.3.1)."""
    told(OPAQUE)
    async with opened(introspection=ASKS) as passport:
        await who(passport, service(JWT), ask.bearing(OPAQUE))
    assert issuer.asked[0]["authorization"] == "Basic " + b64encode(b"gateway:s%3Acret").decode()


async def test_many_requests_with_one_token_cause_one_question(opened, issuer, service, ask, who, told):
    told(OPAQUE)
    async with opened(introspection=ASKS) as passport:
        asks = [who(passport, service(JWT), ask.bearing(OPAQUE)) for _ in range(100)]
        identities = await asyncio.gather(*asks)
    assert {identity.subject for identity in identities} == {"4f1c"}
    assert len(issuer.asked) == 1


async def test_an_answer_is_believed_for_a_while(opened, issuer, service, ask, who, told, clock):
    told(OPAQUE)
    protected = service(JWT)
    async with opened(introspection=ASKS) as passport:
        identity = await who(passport, protected, ask.bearing(OPAQUE))
        clock.now += 29
        assert passport.identify(protected, ask.bearing(OPAQUE), print) is identity
        del issuer.told[OPAQUE]
        clock.now += 2
        assert await refused(passport, service, ask, who, OPAQUE) == "token_inactive"
    assert len(issuer.asked) == 2


async def test_no_answer_is_believed_past_its_exp(opened, issuer, service, ask, who, told, clock):
    told(OPAQUE, exp=NOW + 5)
    async with opened(introspection=ASKS) as passport:
        await who(passport, service(JWT), ask.bearing(OPAQUE))
        clock.now += 40
        assert await refused(passport, service, ask, who, OPAQUE) == "token_expired"


async def test_a_lightweight_token_is_asked_about_and_a_whole_one_is_not(opened, issuer, service, ask, who, told):
    token = told(lightweight(issuer))
    async with opened(introspection=ASKS) as passport:
        identity = await who(passport, service(JWT), ask.bearing(token))
        assert identity.roles == {"customer", "orders:admin"}
        assert passport.identify(service(JWT), ask.bearing(issuer.token()), print) is not None
    assert [form["token"] for form in issuer.asked] == [token]


async def test_nobody_is_asked_about_a_token_that_is_not_genuine(opened, issuer, service, ask, who, privates):
    async with opened(introspection=ASKS) as passport:
        for token, code in (
            (lightweight(issuer, exp=NOW - 60), "token_expired"),
            (lightweight(issuer, typ="Refresh"), "token_type_wrong"),
            (issuer.token(aud=None, private=privates["other"]), "signature_invalid"),
            ("{}", "token_malformed"),
            ("a b", "token_malformed"),
            ("x" * 20_000, "token_malformed"),
            ("", "token_malformed"),
        ):
            assert await refused(passport, service, ask, who, token) == code
    assert issuer.asked == []


async def test_all_tokens_may_be_asked_about(opened, issuer, service, ask, who, told):
    token = told(issuer.token(jti="j"))
    async with opened(introspection=EVERY) as passport:
        await who(passport, service(JWT), ask.bearing(token))
        other = issuer.token(sub="else")
        assert await refused(passport, service, ask, who, other) == "token_inactive"
        assert await refused(passport, service, ask, who, OPAQUE) == "token_inactive"
    assert len(issuer.asked) == 3


async def test_an_opaque_token_needs_no_issuer_but_who_tells_of_it(opened, issuer, service, ask, who, told):
    told(OPAQUE, iss=None, typ=None)
    async with opened(introspection=ASKS) as passport:
        assert (await who(passport, service(JWT), ask.bearing(OPAQUE))).issuer == issuer.issuer


@pytest.mark.parametrize("claims", [{"sub": "else"}, {"azp": "else"}, {"jti": "else"}])
async def test_an_answer_about_another_token_is_refused(opened, issuer, service, ask, who, told, claims):
    token = told(lightweight(issuer), **claims)
    async with opened(introspection=ASKS) as passport:
        assert await refused(passport, service, ask, who, token) == "token_malformed"


async def test_while_the_provider_is_away_nobody_can_say(opened, issuer, service, ask, who, told):
    told(OPAQUE)
    async with opened(introspection=ASKS) as passport:
        known = await who(passport, service(JWT), ask.bearing(OPAQUE))
        await issuer.away()
        with pytest.raises(Unavailable) as caught:
            await who(passport, service(JWT), ask.bearing("other"))
        assert (caught.value.status, caught.value.code, caught.value.retry_after) == (503, "identity_unavailable", 5)
        assert await who(passport, service(JWT), ask.bearing(OPAQUE)) is known
        await issuer.back()
        assert await refused(passport, service, ask, who, "other") == "token_inactive"


ANSWERS = [
    ({}, "200 OK"),
    ({"active": "true"}, "200 OK"),
    ({"active": 1}, "200 OK"),
    ({"active": None}, "200 OK"),
    (b"<html>", "200 OK"),
    (b'{"active":true,"active":true}', "200 OK"),
    (b" " * 300_000, "200 OK"),
    ({"active": True}, "302 Found"),
    ({"active": False}, "500 Internal Server Error"),
]


@pytest.mark.parametrize(("answer", "status"), ANSWERS)
async def test_what_is_no_answer_decides_nothing(opened, issuer, service, ask, who, answer, status):
    issuer.answers[issuer.introspection] = issuer.answer(answer, status, "location: http://127.0.0.1:1/\r\n")
    async with opened(introspection=ASKS) as passport:
        with pytest.raises(Unavailable):
            await who(passport, service(JWT), ask.bearing(OPAQUE))


async def test_who_may_not_ask_is_told_in_the_log(opened, issuer, service, ask, who, caplog):
    caplog.set_level(logging.INFO, "gateway.identity")
    issuer.answers[issuer.introspection] = issuer.answer({"error": "invalid_client"}, "401 Unauthorized")
    async with opened(introspection=ASKS) as passport:
        for _ in range(3):
            with pytest.raises(Unavailable):
                await who(passport, service(JWT), ask.bearing(OPAQUE))
    [line] = [record for record in caplog.records if record.levelname == "WARNING"]
    cure = "are client_id and client_secret those of a client that may introspect?"
    assert line.getMessage().endswith(f"status 401; {cure}")
    assert not any(secret in str(line.__dict__) for secret in (OPAQUE, "s:cret", "s%3Acret"))


@pytest.mark.parametrize("endpoint", [None, 7, "http://127.0.0.2:9/introspect", "file:///etc/passwd", "//evil.example"])
async def test_an_endpoint_that_is_not_the_providers_is_not_asked(opened, issuer, service, ask, who, endpoint):
    published = {"jwks_uri": issuer.origin + issuer.certs, "introspection_endpoint": endpoint}
    issuer.answers[issuer.discovery] = issuer.answer({"issuer": issuer.issuer, **published})
    async with opened(introspection=ASKS) as passport:
        with pytest.raises(Unavailable):
            await who(passport, service(JWT), ask.bearing(OPAQUE))
    assert issuer.asked == []


async def test_that_a_token_is_not_active_is_remembered_for_seconds(opened, issuer, service, ask, who, told, clock):
    async with opened(introspection=ASKS) as passport:
        for _ in range(20):
            assert await refused(passport, service, ask, who, OPAQUE) == "token_inactive"
        assert len(issuer.asked) == 1
        clock.now += 11
        told(OPAQUE)
        await who(passport, service(JWT), ask.bearing(OPAQUE))


async def test_garbage_pushes_out_no_good_token(opened, service, ask, who, told, monkeypatch):
    monkeypatch.setattr(module, "INACTIVE", 5)
    told(OPAQUE)
    async with opened(introspection=ASKS) as passport:
        known = await who(passport, service(JWT), ask.bearing(OPAQUE))
        for number in range(20):
            assert await refused(passport, service, ask, who, f"garbage{number}") == "token_inactive"
        assert passport.identify(service(JWT), ask.bearing(OPAQUE), print) is known


async def test_an_address_that_sends_garbage_is_soon_not_looked_at(opened, issuer, service, ask, who):
    async with opened(introspection=ASKS, tolerance=Rate(10, 60)) as passport:
        for number in range(50):
            with suppress(Unauthorized, TooMany):
                await who(passport, service(JWT), ask.bearing(f"garbage{number}"))
    assert len(issuer.asked) == 10


async def test_questions_at_once_and_waiting_requests_are_bounded(opened, issuer, service, ask, monkeypatch):
    monkeypatch.setattr(module, "WAITERS", 100)
    answers: list[Any] = []
    async with opened(introspection=ASKS) as passport:
        issuer.open.clear()
        issuer.requests.clear()
        for number in range(120):
            try:
                passport.identify(service(JWT), ask.bearing(f"token{number}"), answers.append)
            except Unavailable as error:
                answers.append(error)
        assert len(answers) == 20
        while len(issuer.requests) < module.FLIGHTS:
            await asyncio.sleep(0.001)
        assert len(issuer.requests) == module.FLIGHTS
        issuer.open.set()
        while len(answers) < 120:
            await asyncio.sleep(0.001)
    assert sum(isinstance(answer, Unauthorized) for answer in answers) == 100


async def test_who_waits_at_the_end_is_told(opened, issuer, service, ask):
    answers: list[Any] = []
    async with opened(introspection=ASKS) as passport:
        issuer.open.clear()
        passport.identify(service(JWT), ask.bearing(OPAQUE), answers.append)
        await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert [type(answer) for answer in answers] == [Unavailable]
    issuer.open.set()


async def test_a_withdrawn_key_ends_lightweight_tokens_too(
    opened, issuer, service, ask, who, told, naps, privates, jwk
):
    token = told(lightweight(issuer))
    told(OPAQUE)
    async with opened(introspection=ASKS) as passport:
        assert isinstance(await who(passport, service(JWT), ask.bearing(token)), Identity)
        known = await who(passport, service(JWT), ask.bearing(OPAQUE))
        issuer.jwks[:] = [jwk(privates["ES256"], kid="second", alg="ES256")]
        await naps.wake()
        assert await refused(passport, service, ask, who, token) == "key_unknown"
        assert await who(passport, service(JWT), ask.bearing(OPAQUE)) is known
