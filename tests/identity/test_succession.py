"""A passport that follows another: what has not changed is not asked for again."""

from __future__ import annotations

import pytest
import trustme

from gateway.errors import Unauthorized
from gateway.identity.api_keys import create
from gateway.identity.passport import Passport, close_all
from gateway.model import ApiKey, Application, Oidc

JWT = {"jwt": "keycloak"}
KEY = {"api_key": ("header", "X-Api-Key")}


def oidc_of(issuer, **changed) -> Oidc:
    return Oidc(**{"name": "keycloak", "issuer": issuer.issuer, "audience": ("gateway",), **changed})


async def test_a_provider_goes_on_with_its_keys_and_the_tokens_it_knows(opened, issuer, service, ask, clock, naps):
    async with opened() as first:
        asked = ask.bearing(issuer.token())
        identity = first.identify(service(JWT), asked, print)
        requests = list(issuer.requests)
        await issuer.away()
        second = Passport({"keycloak": oidc_of(issuer)}, (), before=first, clock=clock, sleep=naps)
        await second.start()
        assert second.identify(service(JWT), asked, print) is identity
        assert second.problems() == []
        assert issuer.requests == requests
        assert first.left(second) == second.left(first) == set()


async def test_one_that_has_changed_is_another(opened, issuer, service, ask, clock, naps):
    async with opened() as first:
        changed = oidc_of(issuer, audience=("other",))
        second = Passport({"keycloak": changed}, (), before=first, clock=clock, sleep=naps)
        await second.start()
        asked = ask.bearing(issuer.token())
        assert first.identify(service(JWT), asked, print) is not None
        with pytest.raises(Unauthorized):
            second.identify(service(JWT), asked, print)
        assert len(first.left(second)) == len(second.left(first)) == 1
        await close_all(second.left(first))
        assert first.identify(service(JWT), asked, print) is not None


async def test_one_whose_authority_has_changed_is_another(issuer, clock, naps, tmp_path):
    ca = tmp_path / "ca.pem"
    trustme.CA().cert_pem.write_to_path(ca)
    providers = {"keycloak": oidc_of(issuer, ca=ca)}
    first = Passport(providers, (), clock=clock, sleep=naps)
    assert Passport(providers, (), before=first).left(first) == set()
    trustme.CA().cert_pem.write_to_path(ca)
    assert len(Passport(providers, (), before=first).left(first)) == 1


async def test_keys_are_those_of_the_new_one(opened, issuer, service, ask, clock, naps):
    old, new = create(), create()
    async with opened(Application(name="mobile", plans=("gold",), api_keys=(ApiKey(old.digest),))) as first:
        mobile = Application(name="mobile", plans=("gold",), api_keys=(ApiKey(new.digest),))
        second = Passport({"keycloak": oidc_of(issuer)}, (mobile,), before=first, clock=clock, sleep=naps)
        with pytest.raises(Unauthorized):
            second.identify(service(KEY), ask([(b"x-api-key", old.key.encode())]), print)
        assert second.identify(service(KEY), ask([(b"x-api-key", new.key.encode())]), print).application == "mobile"
