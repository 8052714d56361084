"""A service that takes tokens of several issuers: each is held to its own keys and rules."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.errors import Unauthorized
from gateway.identity.passport import Passport
from gateway.model import Oidc

from .conftest import Issuer

LINES = ({"jwt": "keycloak"}, {"jwt": "partner"})


@pytest.fixture
async def partner(privates, jwk):
    """Another issuer, whose key has the same name as the first one's."""
    partner = Issuer(privates["ES256"])
    partner.jwks = [jwk(privates["ES256"], kid="first", alg="ES256", use="sig")]
    await partner.serve()
    yield partner
    await partner.away()


@pytest.fixture
async def passport(issuer, partner, clock, naps):
    keycloak = Oidc(name="keycloak", issuer=issuer.issuer, audience=("gateway",))
    other = replace(keycloak, name="partner", issuer=partner.issuer, audience=("api",), algorithms=("ES256",))
    passport = Passport({"keycloak": keycloak, "partner": other}, (), clock=clock, sleep=naps)
    await passport.start()
    yield passport
    await passport.close()


async def test_each_issuers_tokens_are_taken(passport, issuer, partner, service, ask):
    protected = service(*LINES)
    theirs = partner.token(aud="api", algorithm="ES256", azp="partner-app")
    for token, name, client in (
        (issuer.token(), "keycloak", "mobile-app"),
        (theirs, "partner", "partner-app"),
    ):
        identity = passport.identify(protected, ask.bearing(token), print)
        assert (identity.proof, identity.client_id) == ((f"jwt:{name}",), client)
        assert passport.identify(protected, ask.bearing(token), print) is identity


async def test_none_can_speak_for_another(passport, issuer, partner, service, ask, who):
    """The key that a token names is looked for at its own issuer alone; audiences and algorithms are its own too."""
    protected = service(*LINES)
    for token, code in (
        (partner.token(iss=issuer.issuer, algorithm="ES256"), "algorithm_refused"),
        (issuer.token(iss=partner.issuer, aud="api"), "algorithm_refused"),
        (issuer.token(iss=partner.issuer, aud="api", private=partner.private, algorithm="ES256"), None),
        (partner.token(algorithm="ES256"), "audience_wrong"),
        (issuer.token(aud="api"), "audience_wrong"),
        (issuer.token(iss="https://else.example"), "issuer_wrong"),
    ):
        if code is None:
            assert await who(passport, protected, ask.bearing(token))
            continue
        with pytest.raises(Unauthorized) as caught:
            await who(passport, protected, ask.bearing(token))
        assert caught.value.code == code


async def test_a_service_that_takes_one_takes_no_other(passport, partner, service, ask, who):
    with pytest.raises(Unauthorized) as caught:
        await who(passport, service({"jwt": "keycloak"}), ask.bearing(partner.token(aud="api", algorithm="ES256")))
    assert caught.value.code == "issuer_wrong"


async def test_one_that_is_away_keeps_no_other_from_being_taken(issuer, partner, clock, naps, service, ask):
    await partner.away()
    keycloak = Oidc(name="keycloak", issuer=issuer.issuer, audience=("gateway",))
    other = replace(keycloak, name="partner", issuer=partner.issuer)
    passport = Passport({"keycloak": keycloak, "partner": other}, (), clock=clock, sleep=naps)
    await passport.start()
    assert [problem.split(":")[0] for problem in passport.problems()] == ["identity partner"]
    assert passport.identify(service(*LINES), ask.bearing(issuer.token()), print) is not None
    await passport.close()
