"""Bounds of what tokens can make a key ring remember, and ask for."""

from __future__ import annotations

import asyncio
import logging

import pytest

from gateway.identity import keyring
from gateway.identity.channel import FetchFailed
from gateway.identity.keyring import UNKNOWN_KIDS, WAITERS, KeyRing
from gateway.identity.keys import KeySet, key_set
from gateway.model import ASYMMETRIC

HERE = "192.0.2.200"


class Memory:
    """A source of keys that are at hand."""

    def __init__(self, keys: KeySet) -> None:
        self.keys = keys
        self.asked = 0
        self.fault: Exception | None = None

    async def fetch(self) -> KeySet:
        self.asked += 1
        if self.fault is not None:
            raise self.fault
        return self.keys

    refetch = fetch


@pytest.fixture
def source(privates, jwk) -> Memory:
    return Memory(key_set({"keys": [jwk(privates["EdDSA"], kid="first")]}, ASYMMETRIC))


@pytest.fixture
async def ring(source, clock, naps):
    ring = KeyRing("keycloak", source, lambda _: None, clock=clock, sleep=naps, log=logging.getLogger("test"))
    await ring.start()
    yield ring
    await ring.close()


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_waiters_and_unknown_keys_are_bounded(ring, clock):
    heard: list[int] = []
    taken = [ring.refetch(f"x{number}", HERE, lambda number=number: heard.append(number)) for number in range(5000)]
    assert taken.count(True) == WAITERS
    assert repr(ring) == f"<KeyRing keycloak: 1 keys, {WAITERS} waiting, 0 unknown, fresh>"
    await settle()
    assert heard == list(range(WAITERS))
    clock.now += 30
    assert ring.refetch("one more", HERE, print)
    await settle()
    assert repr(ring) == f"<KeyRing keycloak: 1 keys, 0 waiting, {UNKNOWN_KIDS} unknown, fresh>"


async def test_two_fetches_in_any_minute_whatever_addresses_ask(ring, source, clock):
    began = []
    for number in range(600):
        asked = source.asked
        ring.refetch(f"x{number}", f"192.0.2.{number % 250}", int)
        await settle()
        began += [clock.now] * (source.asked - asked)
        clock.now += 1
    assert len(began) == 20
    assert all(third - first >= 60 for first, third in zip(began, began[2:], strict=False))


async def test_what_finds_a_new_key_does_not_count_and_an_old_one_is_not_new(ring, source, privates, jwk):
    """A provider of which one half has a key that the other half lacks would else be asked without end."""
    halves = [key_set({"keys": [jwk(privates["EdDSA"], kid=kid)]}, ASYMMETRIC) for kid in ("first", "second")]
    for number in range(20):
        source.keys = halves[1 - number % 2]
        ring.refetch(source.keys.keys[0].kid, HERE, int)
        await settle()
    assert source.asked == 1 + 2
    for number in range(20):
        source.keys = key_set({"keys": [jwk(privates["EdDSA"], kid=f"k{number}")]}, ASYMMETRIC)
        assert ring.refetch(f"k{number}", "192.0.2.7", int)
        await settle()
        assert ring.keys.knows(f"k{number}")


async def test_a_clock_set_back_gives_no_fetches_away(ring, source, clock):
    for number in range(10):
        clock.now -= 3600
        ring.refetch(f"x{number}", f"192.0.2.{number}", int)
        await settle()
    assert source.asked == 1 + 2


async def test_a_fault_in_reading_keys_does_not_end_the_refreshing(ring, source, naps, caplog):
    source.fault = RuntimeError("a fault")
    await naps.wake()
    assert repr(ring).endswith("internal error>")
    assert "a fault" in caplog.text
    source.fault = None
    await naps.wake()
    assert repr(ring).endswith("fresh>")


async def test_the_log_tells_a_failure_once(ring, source, naps, caplog):
    source.fault = FetchFailed("connection refused")
    for _ in range(10):
        await naps.wake()
    assert [record.message for record in caplog.records] == ["identity keycloak: connection refused"]


async def test_a_waiters_fault_reaches_no_other(ring, caplog):
    heard: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: heard.append(str(context["exception"])))
    ring.refetch("x", HERE, lambda: 1 // 0)
    ring.refetch("y", HERE, lambda: heard.append("y"))
    await settle()
    assert heard == ["integer division or modulo by zero", "y"]


async def test_one_address_keeps_no_other_from_finding_a_new_key(ring, source, clock, privates, jwk):
    assert ring.refetch("x1", HERE, int)
    await settle()
    for number in range(10_000):
        assert not ring.refetch(f"y{number}", HERE, int)
        assert ring.settles(f"y{number}", HERE)  # there is no such key as far as this address may know
    source.keys = key_set({"keys": [jwk(privates["ES256"], kid="new", alg="ES256")]}, ASYMMETRIC)
    assert not ring.settles("new", "192.0.2.7")
    assert ring.refetch("new", "192.0.2.7", int)
    await settle()
    assert ring.keys.knows("new")
    assert source.asked == 1 + 2


async def test_whose_token_could_not_be_asked_for_is_not_told_that_it_is_bad(ring, source, clock):
    """Other addresses have used up what may be asked."""
    for number in range(2):
        assert ring.refetch(f"x{number}", f"192.0.2.{number}", int)
        await settle()
    assert not ring.refetch("new", HERE, int)
    assert not ring.settles("new", HERE)
    assert ring.settles("x0", HERE)
    clock.now += 60
    assert ring.refetch("new", HERE, int)
    await settle()
    assert ring.settles("new", HERE)


async def test_addresses_that_are_remembered_are_bounded(ring, clock, monkeypatch):
    monkeypatch.setattr(keyring, "ADDRESSES", 3)
    for number in range(10):
        clock.now += 30
        assert ring.refetch(f"x{number}", f"192.0.2.{number}", int)
        await settle()
    assert len(ring._spent) == 3
