"""Keys of a provider that rotates, goes away, is slow, or answers what it should not. It listens on a real socket."""

from __future__ import annotations

import asyncio
import ssl
from base64 import urlsafe_b64encode
from contextlib import asynccontextmanager

import pytest
import trustme

from gateway.errors import Unauthorized, Unavailable
from gateway.identity import channel
from gateway.identity.channel import DOCUMENT_BYTES
from gateway.identity.jwks import Source
from gateway.identity.passport import Passport
from gateway.model import Oidc

JWT = {"jwt": "keycloak"}


def b64(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def certs_fetched(issuer) -> int:
    return issuer.requests.count(issuer.certs)


async def test_keys_are_there_after_the_start(opened, issuer, service, ask):
    async with opened() as passport:
        assert passport.problems() == []
        assert issuer.requests == [issuer.discovery, issuer.certs]
        assert passport.identify(service(JWT), ask.bearing(issuer.token()), print) is not None


async def test_a_new_key_is_fetched_when_the_first_token_names_it(opened, issuer, service, ask, who, privates, jwk):
    async with opened() as passport:
        issuer.jwks.append(jwk(privates["ES256"], kid="second", alg="ES256"))
        token = issuer.token(header={"kid": "second"}, private=privates["ES256"], algorithm="ES256")
        protected = service(JWT)
        found = await asyncio.gather(*(who(passport, protected, ask.bearing(token)) for _ in range(100)))
        assert {identity.subject for identity in found} == {"4f1c"}
        assert certs_fetched(issuer) == 2


async def test_good_tokens_go_on_while_a_fetch_is_slow(opened, issuer, service, ask, who):
    async with opened() as passport:
        issuer.open.clear()
        unknown = asyncio.ensure_future(who(passport, service(JWT), ask.bearing(issuer.token(header={"kid": "x"}))))
        await asyncio.sleep(0)
        assert passport.identify(service(JWT), ask.bearing(issuer.token()), print) is not None
        issuer.open.set()
        with pytest.raises(Unauthorized) as caught:
            await unknown
        assert caught.value.code == "key_unknown"


async def test_an_unknown_key_is_asked_for_once_a_minute(opened, issuer, service, ask, who, clock):
    ask_again = ask.bearing(issuer.token(header={"kid": "x"}, exp=clock() + 3000))
    async with opened() as passport:
        for _ in range(5):
            with pytest.raises(Unauthorized, match="does not name one of the provider's keys"):
                await who(passport, service(JWT), ask_again)
        assert certs_fetched(issuer) == 2
        clock.now += 61
        with pytest.raises(Unauthorized):
            await who(passport, service(JWT), ask_again)
        assert certs_fetched(issuer) == 3


async def test_ten_thousand_unknown_keys_cause_two_fetches_and_hold_nobody_up(opened, issuer, service, ask):
    protected, good, answers = service(JWT), ask.bearing(issuer.token()), []
    _, body, mac = issuer.token().split(".")
    heads = [b64(b'{"alg":"RS256","typ":"JWT","kid":"x%d"}' % number) for number in range(10_000)]
    async with opened() as passport:
        for number, head in enumerate(heads):
            try:
                assert passport.identify(protected, ask.bearing(f"{head}.{body}.{mac}"), answers.append) is None
            except (Unauthorized, Unavailable) as error:
                answers.append(error)
            if number % 100 == 0:
                assert passport.identify(protected, good, print) is not None
                await asyncio.sleep(0)
        while len(answers) < len(heads):
            await asyncio.sleep(0.001)
    assert {answer.code for answer in answers} <= {"key_unknown", "identity_unavailable"}
    assert certs_fetched(issuer) <= 1 + 2


async def test_a_flood_of_an_hour_causes_two_fetches_a_minute(opened, issuer, service, ask, who, clock):
    async with opened() as passport:
        for number in range(720):
            clock.now += 5
            token = issuer.token(header={"kid": f"x{number}"}, exp=clock() + 60)
            with pytest.raises(Unauthorized):
                await who(passport, service(JWT), ask.bearing(token))
    assert certs_fetched(issuer) <= 1 + 120


async def test_a_withdrawn_key_dies_with_the_next_refresh(opened, issuer, service, ask, who, naps, privates, jwk):
    protected, asked = service(JWT), ask.bearing(issuer.token())
    async with opened() as passport:
        await who(passport, protected, asked)
        issuer.jwks[:] = [jwk(privates["ES256"], kid="second", alg="ES256")]
        await naps.wake()
        with pytest.raises(Unauthorized) as caught:
            await who(passport, protected, asked)
        assert caught.value.code == "key_unknown"
        assert 200 <= min(naps.pauses) <= max(naps.pauses) <= 300


async def test_a_key_replaced_under_its_name_takes_its_tokens_along(
    opened, issuer, service, ask, who, naps, privates, jwk
):
    protected, asked = service(JWT), ask.bearing(issuer.token())
    async with opened() as passport:
        await who(passport, protected, asked)
        issuer.jwks[:] = [jwk(privates["other"], kid="first", alg="RS256")]
        await naps.wake()
        with pytest.raises(Unauthorized) as caught:
            await who(passport, protected, asked)
        assert caught.value.code == "signature_invalid"


async def test_a_refresh_that_changes_nothing_keeps_the_tokens(opened, issuer, service, ask, who, naps):
    protected, asked = service(JWT), ask.bearing(issuer.token())
    async with opened() as passport:
        identity = await who(passport, protected, asked)
        await naps.wake()
        assert await who(passport, protected, asked) is identity


async def test_no_key_at_all_refuses_everyone_and_shows(opened, issuer, service, ask, who, naps):
    async with opened() as passport:
        await who(passport, service(JWT), ask.bearing(issuer.token()))
        issuer.jwks.clear()
        await naps.wake()
        with pytest.raises(Unavailable):
            await who(passport, service(JWT), ask.bearing(issuer.token()))
        assert passport.problems() == ["identity keycloak: no keys yet: the provider publishes no key that can be used"]


async def test_a_start_without_the_provider_goes_on_trying(opened, issuer, service, ask, who, naps):
    protected, asked = service(JWT), ask.bearing(issuer.token())
    await issuer.away()
    async with opened() as passport:
        assert "no keys yet" in passport.problems()[0]
        assert "Connect call failed" in passport.problems()[0]
        for _ in range(5):
            with pytest.raises(Unavailable) as caught:
                await who(passport, protected, asked)
            assert (caught.value.code, caught.value.retry_after) == ("identity_unavailable", 5)
            await naps.wake()
        assert naps.pauses[0] <= 2
        assert 7.5 <= naps.pauses[-1] <= 15
        await issuer.back()
        await naps.wake()
        assert passport.problems() == []
        await who(passport, protected, asked)


async def test_the_last_good_keys_serve_while_the_provider_is_away(opened, issuer, service, ask, who, naps):
    protected = service(JWT)
    async with opened() as passport:
        await issuer.away()
        await naps.wake()
        assert passport.problems() == []
        await who(passport, protected, ask.bearing(issuer.token(sub="never-seen-before")))
        with pytest.raises(Unavailable):
            await who(passport, protected, ask.bearing(issuer.token(header={"kid": "perhaps-new"})))
        await issuer.back()
        await naps.wake()
        with pytest.raises(Unauthorized):
            await who(passport, protected, ask.bearing(issuer.token(header={"kid": "perhaps-new"})))


async def test_who_waits_for_a_fetch_is_answered_when_the_gateway_stops(opened, issuer, service, ask, who):
    async with opened() as passport:
        issuer.open.clear()
        waiting = asyncio.ensure_future(who(passport, service(JWT), ask.bearing(issuer.token(header={"kid": "x"}))))
        await asyncio.sleep(0)
    with pytest.raises(Unavailable):
        await waiting
    issuer.open.set()


@asynccontextmanager
async def problem_of(opened, **changed):
    async with opened(**changed) as passport:
        [problem] = passport.problems()
        yield problem


async def test_a_provider_that_does_not_answer_in_time(opened, issuer, monkeypatch):
    monkeypatch.setattr(channel, "FETCH_SECONDS", 0.02)
    issuer.open.clear()
    async with problem_of(opened) as problem:
        assert problem.endswith("no answer within 0.02 s")
    issuer.open.set()


BAD_CERTS = {
    "more than 262144 bytes": (b" " * (DOCUMENT_BYTES + 1), "200 OK", ""),
    "status 302": (b"", "302 Found", "location: http://127.0.0.1:9/certs\r\n"),
    "status 500": (b"oops", "500 Internal Server Error", ""),
    "compressed though this was not asked for": (b"\x1f\x8b", "200 OK", "content-encoding: gzip\r\n"),
    "Expecting value": (b"<html>", "200 OK", ""),
    "a name is given twice": (b'{"keys": [], "keys": []}', "200 OK", ""),
    "too deep": (b'{"keys": ' + b"[" * 60_000 + b"]" * 60_000 + b"}", "200 OK", ""),
    "not a JWK Set": (b'{"keys": {}}', "200 OK", ""),
    "invalid start byte": (b'{"keys": "\xff"}', "200 OK", ""),
}


@pytest.mark.parametrize("reason", BAD_CERTS)
async def test_keys_that_are_not_taken(opened, issuer, reason):
    issuer.answers[issuer.certs] = issuer.answer(*BAD_CERTS[reason])
    async with problem_of(opened) as problem:
        assert f"{issuer.certs}: " in problem
        assert reason in problem


async def test_a_redirect_is_not_followed(opened, issuer):
    issuer.answers[issuer.discovery] = issuer.answer({}, "302 Found", f"location: {issuer.origin}/elsewhere\r\n")
    async with problem_of(opened) as problem:
        assert problem.endswith("status 302")
    assert issuer.requests == [issuer.discovery]


async def test_a_document_without_end_is_cut_off(opened, issuer):
    endless = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + b"10000\r\n" + b" " * 65536 + b"\r\n"
    issuer.answers[issuer.certs] = endless + (b"10000\r\n" + b" " * 65536 + b"\r\n") * 100
    async with problem_of(opened) as problem:
        assert "more than 262144 bytes" in problem


async def test_the_issuer_must_be_the_configured_one_exactly(opened, issuer):
    wrong = issuer.issuer + "/"
    issuer.answers[issuer.discovery] = issuer.answer({"issuer": wrong, "jwks_uri": issuer.origin + issuer.certs})
    async with problem_of(opened) as problem:
        assert f"the issuer is {wrong!r}, not {issuer.issuer!r}" in problem
        assert "KC_HOSTNAME" in problem


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("http://keys.example/certs", "is on another host than the issuer"),
        ("http://127.0.0.1:1/certs", "is on another host than the issuer"),
        ("https://127.0.0.1/certs", "is on another host than the issuer"),
        ("file:///etc/passwd", "is not a URL of http or https"),
        ("http://[::1", "is not a URL"),
        ("/certs", "is not a URL of http or https"),
        (None, "no jwks_uri"),
        (["http://keys.example/certs"], "no jwks_uri"),
    ],
)
async def test_keys_are_fetched_from_the_provider_alone(opened, issuer, uri, reason):
    issuer.answers[issuer.discovery] = issuer.answer({"issuer": issuer.issuer, "jwks_uri": uri})
    async with problem_of(opened) as problem:
        assert reason in problem
    assert issuer.requests == [issuer.discovery]


async def test_the_back_channel_may_have_another_address(opened, issuer, service, ask, who):
    inside = issuer.issuer
    issuer.issuer = "https://sso.example.com/realms/demo"
    async with opened(internal_url=inside) as passport:
        identity = await who(passport, service(JWT), ask.bearing(issuer.token()))
        assert identity.issuer == "https://sso.example.com/realms/demo"
        assert issuer.requests == [issuer.discovery, issuer.certs]


async def test_the_back_channels_own_addresses_are_taken_too(opened, issuer, service, ask, who):
    inside = issuer.issuer
    issuer.issuer = "https://sso.example.com/realms/demo"
    document = {"issuer": issuer.issuer, "jwks_uri": inside + "/protocol/openid-connect/certs"}
    issuer.answers[issuer.discovery] = issuer.answer(document)
    async with opened(internal_url=inside) as passport:
        await who(passport, service(JWT), ask.bearing(issuer.token()))


async def test_a_private_ca_is_trusted_alone(issuer, privates, tmp_path, clock, naps):
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(tls)
    secure = type(issuer)(privates["rsa"])
    await secure.serve(tls)
    try:
        assert await problems(secure, clock, naps, ca=tmp_path / "ca.pem") == []
        [problem] = await problems(secure, clock, naps, ca=None)
        assert "certificate verify failed" in problem
    finally:
        await secure.away()


async def problems(issuer, clock, naps, **changed) -> list[str]:
    oidc = Oidc(name="keycloak", issuer=issuer.issuer, audience=("gateway",), **changed)
    passport = Passport({"keycloak": oidc}, [], clock=clock, sleep=naps)
    await passport.start()
    try:
        return passport.problems()
    finally:
        await passport.close()


async def test_keys_can_be_asked_for_before_anything_is_known(issuer):
    source = Source(Oidc(name="keycloak", issuer=issuer.issuer, audience=("gateway",)))
    try:
        assert len(await source.refetch()) == 1
        assert len(await source.refetch()) == 1
    finally:
        await source.aclose()
    assert issuer.requests == [issuer.discovery, issuer.certs, issuer.certs]


async def test_a_ca_that_cannot_be_read_is_an_error_at_once(tmp_path):
    oidc = Oidc(name="keycloak", issuer="https://sso.example/r", audience=("gateway",), ca=tmp_path / "none.pem")
    with pytest.raises(FileNotFoundError):
        Passport({"keycloak": oidc}, [])
