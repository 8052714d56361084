"""Keys at a service: known, and yet refused."""

from __future__ import annotations

import logging
from ipaddress import ip_network

import pytest

from gateway.errors import Forbidden, Unauthorized, Unavailable
from gateway.identity.api_keys import create
from gateway.identity.revocations import KEY as REVOKED
from gateway.model import ApiKey, Application, Rate
from gateway.store.marks import MemoryMarks

from .conftest import NOW

KEY = {"api_key": ("header", "X-Api-Key")}
NEW = create()


def application(**bounds: object) -> Application:
    return Application(name="mobile", plans=("gold",), api_keys=(ApiKey(NEW.digest, **bounds),))


async def test_a_key_serves_until_it_ends_and_then_no_more(opened, service, ask, clock, caplog):
    caplog.set_level(logging.INFO)
    asked = ask([(b"x-api-key", NEW.key.encode())])
    async with opened(application(expires=NOW + 60), tolerance=Rate(1, 1)) as passport:
        assert passport.identify(service(KEY), asked, print) is not None
        clock.now += 60
        for _ in range(3):  # it is known, so this is no flood
            with pytest.raises(Unauthorized) as refused:
                passport.identify(service(KEY), asked, print)
            assert refused.value.code == "api_key_expired"
    assert "the API key has expired" in caplog.text
    assert NEW.key not in caplog.text


async def test_when_a_key_was_used_is_told_once_and_not_of_refused_ones(opened, service, ask, clock):
    good, bad = ask([(b"x-api-key", NEW.key.encode())]), ask([(b"x-api-key", b"gwk_other")])
    async with opened(application(expires=NOW + 60)) as passport:
        passport.identify(service(KEY), good, print)
        clock.now += 7
        passport.identify(service(KEY), good, print)
        with pytest.raises(Unauthorized):
            passport.identify(service(KEY), bad, print)
        assert passport.take_uses() == {NEW.digest: NOW + 7}
        clock.now += 60
        with pytest.raises(Unauthorized):
            passport.identify(service(KEY), good, print)
        assert passport.take_uses() == {}


async def test_a_key_that_is_for_others_is_forbidden(opened, service, ask):
    asked = ask([(b"x-api-key", NEW.key.encode()), (b"referer", b"https://evil.example/")], peer="10.0.0.7")
    bounds = {"addresses": (ip_network("10.0.0.0/8"),), "referrers": ("https://shop.example",)}
    async with opened(application(**bounds)) as passport:
        with pytest.raises(Forbidden) as refused:
            passport.identify(service(KEY), asked, print)
        assert refused.value.code == "referrer_not_allowed"
        asked.peer = "192.0.2.1"
        with pytest.raises(Forbidden) as refused:
            passport.identify(service(KEY), asked, print)
        assert refused.value.code == "address_not_allowed"


async def test_a_key_is_refused_once_it_is_revoked_and_serves_when_it_is_restored(opened, service, ask, clock):
    marks = MemoryMarks(clock, lambda row: None)
    asked = ask([(b"x-api-key", NEW.key.encode())])
    async with opened(application(), marks=marks, tolerance=Rate(1, 1)) as passport:
        identity = passport.identify(service(KEY), asked, print)
        await marks.set(REVOKED, NEW.digest)
        for _ in range(3):
            with pytest.raises(Unauthorized) as refused:
                passport.identify(service(KEY), asked, print)
            assert refused.value.code == "api_key_revoked"
        await marks.clear(REVOKED, NEW.digest)
        assert passport.identify(service(KEY), asked, print) is identity


async def test_a_key_may_be_revoked_from_a_moment_on(opened, service, ask, clock):
    marks = MemoryMarks(clock, lambda row: None)
    asked = ask([(b"x-api-key", NEW.key.encode())])
    await marks.set(REVOKED, NEW.digest, repr(NOW + 60))
    async with opened(application(), marks=marks) as passport:
        assert passport.identify(service(KEY), asked, print) is not None
        clock.now += 60
        with pytest.raises(Unauthorized) as refused:
            passport.identify(service(KEY), asked, print)
        assert refused.value.code == "api_key_revoked"


async def test_while_it_is_not_known_what_was_revoked_nobody_can_say(opened, service, ask, clock):
    marks = MemoryMarks(clock, lambda row: None)
    marks.known = False
    async with opened(application(), marks=marks) as passport:
        with pytest.raises(Unavailable) as refused:
            passport.identify(service(KEY), ask([(b"x-api-key", NEW.key.encode())]), print)
        assert refused.value.code == "identity_unavailable"
