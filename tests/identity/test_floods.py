"""Floods of refused credentials: who sends too many is answered without work, and nobody else suffers."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256

import pytest

from gateway.errors import TooMany, Unauthorized
from gateway.http.peer import client_of
from gateway.identity import floods as module
from gateway.identity.api_keys import create
from gateway.identity.floods import EVERYDAY, Floods
from gateway.model import ApiKey, Application, Rate

JWT = {"jwt": "keycloak"}
KEY = {"api_key": ("header", "X-Api-Key")}
MINE = create()
MOBILE = Application(name="mobile", plans=("gold",), api_keys=(ApiKey(MINE.digest),))


@pytest.fixture
def floods(clock) -> Floods:
    return Floods(Rate(3, 60), clock)


def is_told(floods: Floods, peer: str) -> int | None:
    """Whether an address is refused without a look, and how long it is to wait."""
    try:
        floods.check(peer)
    except TooMany as error:
        assert (error.status, error.code) == (429, "too_many_refusals")
        return error.retry_after
    return None


def test_after_too_many_in_a_window_an_address_waits_for_its_end(floods, clock):
    for _ in range(2):
        floods.refused("192.0.2.1", "signature_invalid")
        clock.now += 10
    assert is_told(floods, "192.0.2.1") is None
    floods.refused("192.0.2.1", "api_key_invalid")
    assert is_told(floods, "192.0.2.1") == 40
    assert is_told(floods, "192.0.2.2") is None
    clock.now += 39.5
    assert is_told(floods, "192.0.2.1") == 1
    clock.now += 0.5
    assert is_told(floods, "192.0.2.1") is None
    floods.refused("192.0.2.1", "api_key_invalid")  # the first of a new window
    assert is_told(floods, "192.0.2.1") is None


@pytest.mark.parametrize("code", sorted(EVERYDAY))
def test_everyday_mistakes_of_honest_clients_are_not_counted(floods, code):
    for _ in range(10):
        floods.refused("192.0.2.1", code)
    assert is_told(floods, "192.0.2.1") is None


def test_without_a_tolerance_nothing_is_counted(clock):
    floods = Floods(None, clock)
    for _ in range(1000):
        floods.refused("192.0.2.1", "signature_invalid")
    assert is_told(floods, "192.0.2.1") is None
    assert len(floods) == 0


def test_a_clock_that_is_set_back_lets_nobody_wait_longer_than_a_window(floods, clock):
    for _ in range(3):
        floods.refused("192.0.2.1", "signature_invalid")
    clock.now -= 3600
    assert is_told(floods, "192.0.2.1") is None


def test_memory_is_bounded_and_the_oldest_makes_room(floods, clock, monkeypatch):
    monkeypatch.setattr(module, "ADDRESSES", 100)
    for number in range(1000):
        for _ in range(3):
            floods.refused(f"10.0.{number // 256}.{number % 256}", "signature_invalid")
    assert len(floods) == 100
    assert is_told(floods, "10.0.0.0") is None
    assert is_told(floods, "10.0.3.231") == 60


@pytest.mark.parametrize(
    ("peer", "client"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("unix", "unix"),
    ],
)
def test_a_client_is_an_ipv4_address_or_all_of_an_ipv6_64(peer, client):
    assert client_of(peer) == client


async def test_a_flood_of_tokens_is_not_verified_and_known_ones_pass(opened, issuer, service, ask, clock):
    protected, good = service(JWT), ask.bearing(issuer.token())
    forged = ask.bearing(issuer.token()[:-8] + "AAAAAAAA")
    async with opened(tolerance=Rate(3, 1)) as passport:
        known = passport.identify(protected, good, print)
        for _ in range(3):
            with pytest.raises(Unauthorized):
                passport.identify(protected, forged, print)
        with pytest.raises(TooMany) as refused:
            passport.identify(protected, forged, print)
        assert refused.value.retry_after == 1
        assert passport.identify(protected, good, print) is known
        with pytest.raises(Unauthorized) as missing:  # what costs no work is answered as ever
            passport.identify(protected, ask(), print)
        assert missing.value.code == "credentials_missing"
        elsewhere = replace(ask.bearing(issuer.token(jti="2")), peer="192.0.2.2")
        assert passport.identify(protected, elsewhere, print) is not None
        fresh = ask.bearing(issuer.token(jti="3"))
        with pytest.raises(TooMany):  # it could be forged: nobody looks
            passport.identify(protected, fresh, print)
        clock.now += 1
        assert passport.identify(protected, fresh, print) is not None


async def test_a_flood_of_keys_is_told_so_and_known_keys_pass(opened, service, ask):
    protected = service(KEY)
    wrong = [ask([(b"x-api-key", sha256(b"%d" % n).hexdigest().encode())]) for n in range(5)]
    async with opened(MOBILE, tolerance=Rate(3, 1)) as passport:
        for asked in wrong[:3]:
            with pytest.raises(Unauthorized):
                passport.identify(protected, asked, print)
        with pytest.raises(TooMany):
            passport.identify(protected, wrong[3], print)
        identity = passport.identify(protected, ask([(b"x-api-key", MINE.key.encode())]), print)
        assert identity is not None
        assert identity.application == "mobile"
