"""Verified tokens are recognised, for a while and within bounds."""

from __future__ import annotations

from hashlib import sha256

from gateway.identity.cache import FIELDS, Entry, TokenCache
from gateway.model import Identity


def entry(subject: str = "a", expires: float = 100.0, key: str = "first") -> Entry:
    return Entry(Identity(subject=subject), expires, (key,))


def test_a_token_is_recognised_as_the_same_object():
    cache, known = TokenCache(), entry()
    cache.put(b"digest", known, 0)
    assert cache.get(b"digest", 99.9) is known.identity
    assert cache.get(b"another", 0) is None


def test_never_past_exp():
    cache = TokenCache()
    cache.put(b"digest", entry(expires=100.0), 0)
    assert cache.get(b"digest", 100.0) is None
    assert len(cache) == 0


def test_the_oldest_makes_room():
    cache = TokenCache(size=3)
    for number in range(100):
        cache.put(bytes([number]), entry(str(number)), 0)
        assert len(cache) <= 3
    assert [cache.get(bytes([number]), 0) is not None for number in range(96, 100)] == [False, True, True, True]


def test_a_token_that_lives_by_the_leeway_takes_nobodys_place():
    cache = TokenCache(size=1)
    cache.put(b"one", entry(expires=100.0), 99)
    cache.put(b"two", entry(expires=100.0), 100)
    assert cache.get(b"one", 99) is not None


def test_putting_a_token_again_costs_no_other_its_place():
    cache = TokenCache(size=2)
    cache.put(b"one", entry(), 0)
    cache.put(b"two", entry(), 0)
    cache.put(b"two", entry(), 0)
    assert cache.get(b"one", 0) is not None


def test_tokens_die_with_their_key():
    cache = TokenCache()
    cache.put(b"one", entry(key="first"), 0)
    cache.put(b"two", entry(key="second"), 0)
    cache.retain(frozenset({("second",), ("third",)}))
    assert cache.get(b"one", 0) is None
    assert cache.get(b"two", 0) is not None


def test_a_field_that_was_recognised_once_is_judged_by_what_holds_now():
    cache, known = TokenCache(), entry(expires=100.0)
    assert cache.recognise(b"Bearer token", 0) is None
    cache.put(sha256(b"token").digest(), known, 0)
    for now, identity in ((1, known.identity), (99, known.identity), (100, None), (101, None)):
        assert cache.recognise(b"Bearer token", now) is identity
        assert cache.recognise(b"bearer token", now) is identity
    cache.put(sha256(b"token").digest(), known, 0)
    cache.retain(frozenset())
    assert cache.recognise(b"Bearer token", 1) is None


def test_fields_are_remembered_within_bounds():
    cache = TokenCache()
    for number in range(FIELDS + 10):
        token = str(number).encode()
        cache.put(sha256(token).digest(), entry(), 0)
        assert cache.recognise(b"Bearer " + token, 0) is not None
    assert len(cache._digests) == FIELDS
