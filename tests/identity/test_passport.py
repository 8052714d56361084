"""`accept` lines: who is let in, as whom, and what the others are told."""

from __future__ import annotations

import logging
from base64 import b64encode

import pytest

from gateway.errors import BadRequest, Forbidden, Unauthorized
from gateway.identity import verifier as verifier_module
from gateway.identity.api_keys import create
from gateway.identity.passport import Passport
from gateway.model import ApiKey, Application, Oidc

JWT = {"jwt": "keycloak"}
KEY = {"api_key": ("header", "X-Api-Key")}
BOTH = {**JWT, **KEY}
BASIC = {"api_key": ("basic", "username")}
QUERY = {"api_key": ("query", "api_key")}

MOBILE, OTHER = create(), create()
APPLICATIONS = (
    Application(name="mobile", plans=("gold",), api_keys=(ApiKey(MOBILE.digest),)),
    Application(name="other", plans=("gold",), api_keys=(ApiKey(OTHER.digest),)),
)


def x_api_key(key: str) -> tuple[bytes, bytes]:
    return b"x-api-key", key.encode()


def basic(key: str) -> tuple[bytes, bytes]:
    return b"authorization", b"Basic " + b64encode(f"{key}:".encode())


async def code_of(passport, service, ask) -> str:
    with pytest.raises(Unauthorized) as caught:
        passport.identify(service, ask, print)
    return caught.value.code


async def test_a_token_is_verified_once_and_then_the_same_identity(opened, issuer, service, ask):
    protected, asked = service(JWT), ask.bearing(issuer.token())
    async with opened() as passport:
        identity = passport.identify(protected, asked, print)
        assert identity is not None
        assert (identity.subject, identity.client_id, identity.application) == ("4f1c", "mobile-app", None)
        assert identity.roles == {"customer", "orders:admin"}
        again = ask([(b"authorization", b"bearer  " + issuer.token().encode())])
        assert passport.identify(protected, asked, print) is identity
        assert passport.identify(protected, again, print) is identity


async def test_a_token_expires_though_it_was_recognised(opened, issuer, service, ask, clock):
    protected, asked = service(JWT), ask.bearing(issuer.token())
    async with opened() as passport:
        identity = passport.identify(protected, asked, print)
        clock.now += 299
        assert passport.identify(protected, asked, print) is identity
        clock.now += 30
        assert passport.identify(protected, asked, print) is not identity  # by the leeway, verified anew
        clock.now += 2
        assert await code_of(passport, protected, asked) == "token_expired"


async def test_a_key_finds_its_application(opened, service, ask):
    async with opened(*APPLICATIONS) as passport:
        for line, asked in (
            (KEY, ask([x_api_key(MOBILE.key)])),
            (QUERY, ask(query=b"api_key=" + MOBILE.key.encode())),
            (BASIC, ask([basic(MOBILE.key)])),
        ):
            identity = passport.identify(service(line), asked, print)
            assert identity is not None
            assert (identity.application, identity.client_id) == ("mobile", None)
            assert passport.identify(service(line), asked, print) is identity


async def test_a_line_wants_all_its_credentials_and_joins_them(opened, issuer, service, ask):
    protected, token = service(BOTH), issuer.token()
    async with opened(*APPLICATIONS) as passport:
        assert await code_of(passport, protected, ask.bearing(token)) == "credentials_missing"
        assert await code_of(passport, protected, ask([x_api_key(MOBILE.key)])) == "credentials_missing"
        asked = ask.bearing(token, x_api_key(MOBILE.key))
        identity = passport.identify(protected, asked, print)
        assert identity is not None
        assert (identity.subject, identity.client_id, identity.application) == ("4f1c", "mobile-app", "mobile")
        assert identity.proof == ("jwt:keycloak", f"api_key:{MOBILE.digest[7:19]}")
        assert passport.identify(protected, asked, print) is identity


async def test_joined_identities_are_remembered_within_bounds(opened, issuer, service, ask, monkeypatch):
    monkeypatch.setattr(verifier_module, "PAIRS", 2)
    protected = service(BOTH)
    asks = [ask.bearing(issuer.token(sub=subject), x_api_key(MOBILE.key)) for subject in ("a", "b", "c")]
    async with opened(*APPLICATIONS) as passport:
        first = [passport.identify(protected, asked, print) for asked in asks]
        again = [passport.identify(protected, asked, print) for asked in reversed(asks)]
    assert [one is other for one, other in zip(first, reversed(again), strict=True)] == [False, True, True]


async def test_a_key_is_joined_to_a_token_that_had_to_wait(opened, issuer, service, ask, who, privates, jwk):
    async with opened(*APPLICATIONS) as passport:
        issuer.jwks.append(jwk(privates["other"], kid="second", alg="RS256"))
        token = issuer.token(header={"kid": "second"}, private=privates["other"])
        identity = await who(passport, service(BOTH), ask.bearing(token, x_api_key(MOBILE.key)))
        assert (identity.subject, identity.application) == ("4f1c", "mobile")


async def test_an_incomplete_line_asks_the_provider_nothing(opened, issuer, service, ask):
    async with opened(*APPLICATIONS) as passport:
        asked = ask.bearing(issuer.token(header={"kid": "unknown"}))
        assert await code_of(passport, service(BOTH), asked) == "credentials_missing"


async def test_any_of_several_lines_lets_in(opened, issuer, service, ask):
    protected = service(JWT, KEY)
    async with opened(*APPLICATIONS) as passport:
        by_token = passport.identify(protected, ask.bearing(issuer.token()), print)
        by_key = passport.identify(protected, ask([x_api_key(MOBILE.key)]), print)
        together = passport.identify(protected, ask.bearing(issuer.token(), x_api_key(MOBILE.key)), print)
        assert [by.application for by in (by_token, by_key, together)] == [None, "mobile", "mobile"]
        assert together.subject == by_token.subject


async def test_an_invalid_credential_refuses_even_beside_a_valid_one(opened, issuer, service, ask):
    protected, good, bad = service(JWT, KEY), issuer.token(), issuer.token(exp=1)
    async with opened(*APPLICATIONS) as passport:
        wrong_key = ask.bearing(good, x_api_key("guess"))
        assert await code_of(passport, protected, wrong_key) == "api_key_invalid"
        assert passport.identify(protected, ask.bearing(good), print) is not None
        assert await code_of(passport, protected, wrong_key) == "api_key_invalid"
        wrong_token = ask.bearing(bad, x_api_key(MOBILE.key))
        assert await code_of(passport, protected, wrong_token) == "token_expired"
        empty_key = ask.bearing(good, x_api_key(""))
        assert await code_of(passport, protected, empty_key) == "api_key_invalid"


async def test_credentials_that_the_service_does_not_name_are_not_looked_at(opened, issuer, service, ask):
    async with opened(*APPLICATIONS) as passport:
        assert passport.identify(service(JWT), ask.bearing(issuer.token(), x_api_key("guess")), print) is not None
        assert passport.identify(service(KEY), ask.bearing("noise", x_api_key(MOBILE.key)), print) is not None
        assert await code_of(passport, service(JWT), ask([x_api_key(MOBILE.key)])) == "credentials_missing"
        assert await code_of(passport, service(KEY), ask.bearing(issuer.token())) == "credentials_missing"


async def test_keys_of_different_applications_refuse(opened, service, ask):
    protected = service(KEY, QUERY)
    async with opened(*APPLICATIONS) as passport:
        with pytest.raises(Forbidden) as caught:
            asked = ask([x_api_key(MOBILE.key)], query=b"api_key=" + OTHER.key.encode())
            passport.identify(protected, asked, print)
        assert caught.value.code == "credentials_differ"
        same = ask([x_api_key(MOBILE.key)], query=b"api_key=" + MOBILE.key.encode())
        assert passport.identify(protected, same, print) is not None


async def test_a_credential_given_twice_is_a_bad_request(opened, issuer, service, ask):
    token = issuer.token().encode()
    async with opened() as passport:
        with pytest.raises(BadRequest) as caught:
            passport.identify(service(JWT), ask.bearing(token, (b"authorization", b"Bearer " + token)), print)
        assert caught.value.code == "credentials_ambiguous"


@pytest.mark.parametrize(
    ("lines", "challenges"),
    [
        ([JWT], ('Bearer realm="orders"',)),
        ([BASIC], ('Basic realm="orders", charset="UTF-8"',)),
        ([JWT, BASIC], ('Bearer realm="orders"', 'Basic realm="orders", charset="UTF-8"')),
        ([JWT, KEY], ('Bearer realm="orders"',)),
        ([KEY], ('ApiKey realm="orders", header="X-Api-Key"',)),
        ([QUERY, KEY], ('ApiKey realm="orders", query="api_key"', 'ApiKey realm="orders", header="X-Api-Key"')),
    ],
)
async def test_who_presents_nothing_is_told_what_is_accepted(opened, service, ask, lines, challenges):
    async with opened() as passport:
        with pytest.raises(Unauthorized) as caught:
            passport.identify(service(*lines), ask(), print)
    assert (caught.value.code, caught.value.challenges) == ("credentials_missing", challenges)


async def test_who_presents_a_bad_token_is_told_which_check_failed(opened, issuer, service, ask):
    async with opened() as passport:
        with pytest.raises(Unauthorized) as caught:
            passport.identify(service(JWT), ask.bearing(issuer.token(exp=1)), print)
    error = 'error="invalid_token", error_description="the token has expired"'
    assert caught.value.challenges == (f'Bearer realm="orders", {error}',)


async def test_who_presents_a_bad_key_is_told_nothing_about_tokens(opened, service, ask):
    cut_off = ask([x_api_key(MOBILE.key[:-1])])
    async with opened(*APPLICATIONS) as passport:
        with pytest.raises(Unauthorized, match="the API key is mistyped or cut off") as caught:
            passport.identify(service(JWT, KEY), cut_off, print)
    assert caught.value.challenges == ('Bearer realm="orders"',)


@pytest.fixture
async def two(issuer, clock, naps):
    """Two audiences of one issuer."""
    providers = {
        name: Oidc(name=name, issuer=issuer.issuer, audience=(name,), algorithms=("RS256",))
        for name in ("orders", "billing")
    }
    passport = Passport(providers, [], clock=clock, sleep=naps)
    await passport.start()
    yield passport
    await passport.close()


async def test_a_token_goes_to_the_provider_of_its_issuer_and_audience(two, issuer, service, ask):
    protected = service({"jwt": "orders"}, {"jwt": "billing"})
    for audience in ("orders", "billing"):
        for _ in range(2):
            identity = two.identify(protected, ask.bearing(issuer.token(aud=audience)), print)
            assert identity.proof == (f"jwt:{audience}",)
    assert await code_of(two, protected, ask.bearing(issuer.token(aud="else"))) == "audience_wrong"
    assert await code_of(two, protected, ask.bearing(issuer.token(iss="else"))) == "issuer_wrong"


async def test_a_token_recognised_at_one_service_is_not_thereby_good_at_another(two, issuer, service, ask):
    asked = ask.bearing(issuer.token(aud="orders"))
    assert two.identify(service({"jwt": "orders"}), asked, print) is not None
    assert await code_of(two, service({"jwt": "billing"}), asked) == "audience_wrong"


ANONYMOUS = {"anonymous": "visitors"}


@pytest.mark.parametrize("lines", [[ANONYMOUS], [ANONYMOUS, JWT], [JWT, ANONYMOUS], [KEY, JWT, ANONYMOUS]])
async def test_who_presents_nothing_is_anonymous_where_that_is_accepted(opened, service, ask, lines):
    """One object for all of them: the gate remembers by object."""
    async with opened() as passport:
        at = service(*lines)
        identity = passport.identify(at, ask(), print)
        assert (identity.application, identity.subject, identity.proof) == ("visitors", "", ())
        assert passport.identify(at, ask(), print) is identity


async def test_who_presents_any_credential_is_never_anonymous(opened, issuer, service, ask):
    """Not with one that is invalid, nor with one that the service does not read."""
    basic = (b"authorization", b"Basic YTpi")
    async with opened(*APPLICATIONS) as passport:
        both = service(JWT, KEY, ANONYMOUS)
        assert await code_of(passport, both, ask.bearing(issuer.token(exp=1))) == "token_expired"
        assert await code_of(passport, both, ask([x_api_key(MOBILE.key[:-1])])) == "api_key_invalid"
        assert await code_of(passport, both, ask([basic])) == "credentials_missing"
        assert passport.identify(both, ask([x_api_key(MOBILE.key)]), print).application == "mobile"
        with pytest.raises(Forbidden) as caught:
            passport.identify(service(ANONYMOUS), ask([basic]), print)
        assert caught.value.code == "no_application"


async def test_an_accept_line_that_names_nothing_lets_nobody_in(opened, service, ask):
    async with opened() as passport:
        with pytest.raises(ValueError, match="service orders: an accept line names no credential"):
            passport.identify(service({}), ask(), print)


async def test_the_log_tells_the_reason_and_the_cure_but_no_secret(opened, issuer, service, ask, caplog):
    caplog.set_level(logging.INFO, "gateway.identity")
    token = issuer.token(aud=None)
    async with opened(*APPLICATIONS) as passport:
        caplog.clear()
        await code_of(passport, service(JWT), ask.bearing(token))
        await code_of(passport, service(KEY), ask([x_api_key(MOBILE.key + "0")]))
    no_audience, no_key = caplog.records
    assert no_audience.message.startswith("service orders: refused: the token has no audience; in Keycloak, give")
    assert "'Included Custom Audience' 'gateway'" in no_audience.message
    assert (no_audience.levelname, no_audience.code, no_audience.service) == ("WARNING", "audience_missing", "orders")
    assert no_key.levelname == "INFO"
    assert no_key.message == "service orders: refused: the API key is mistyped or cut off"
    everything = str([record.__dict__ for record in caplog.records])
    assert not any(secret in everything for secret in (*token.split("."), MOBILE.key, "4f1c"))


async def test_a_flood_of_refusals_writes_one_line_a_second(opened, service, ask, clock, caplog):
    caplog.set_level(logging.INFO, "gateway.identity")
    async with opened() as passport:
        caplog.clear()
        for _ in range(1000):
            await code_of(passport, service(JWT), ask())
        clock.now += 1
        await code_of(passport, service(JWT), ask())
    assert [record.unsaid for record in caplog.records] == [0, 999]
