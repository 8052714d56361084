"""Revoked tokens, sessions, users, clients and realms: refused at once, though they were recognised before."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import pytest

from gateway.errors import Unauthorized, Unavailable
from gateway.identity.cache import Entry, TokenCache
from gateway.identity.revocations import CLIENT, DIGEST, REALM, SESSION, TOKEN, USER, named
from gateway.model import Identity, Introspection
from gateway.store.marks import Mark, MemoryMarks

JWT = {"jwt": "keycloak"}
NOW = 1_800_000_000
ALICE: dict[str, Any] = {"jti": "t1", "sid": "s1", "sub": "alice", "azp": "shop-app"}


@pytest.fixture
def marks(clock) -> MemoryMarks:
    return MemoryMarks(clock, lambda row: None)


async def is_refused(passport, service, ask, token: str) -> bool:
    try:
        return passport.identify(service(JWT), ask.bearing(token), print) is None
    except Unauthorized as error:
        assert error.code == "token_revoked"
        assert 'error="invalid_token", error_description="the token has been revoked"' in error.challenges[0]
        return True


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        (TOKEN, "t1", ""),
        (SESSION, "s1", ""),
        (USER, "alice", str(NOW)),
        (CLIENT, "shop-app", str(NOW + 0.5)),
        (REALM, None, str(NOW)),
    ],
)
async def test_what_was_recognised_is_refused_once_it_is_revoked(
    opened, issuer, service, ask, marks, kind, name, value
):
    token = issuer.token(**ALICE)
    protected = service(JWT)
    async with opened(marks=marks) as passport:
        before = passport.identify(protected, ask.bearing(token), print)
        where = issuer.issuer if name is None else named(issuer.issuer, name)
        await marks.set(kind, where, value)
        assert await is_refused(passport, service, ask, token)
        assert await is_refused(passport, service, ask, issuer.token(**ALICE, typ="Bearer", scope="another text"))
        await marks.clear(kind, where)
        again = passport.identify(protected, ask.bearing(token), print)
        assert again is not before
        assert passport.identify(protected, ask.bearing(token), print) is again


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        (TOKEN, "t2", ""),
        (SESSION, "s2", ""),
        (SESSION, "t1", ""),
        (USER, "bob", str(NOW)),
        (USER, "alice", str(NOW - 1)),
        (CLIENT, "mobile-app", str(NOW)),
        (REALM, None, str(NOW - 0.001)),
    ],
)
async def test_others_are_not_touched(opened, issuer, service, ask, marks, kind, name, value):
    token = issuer.token(**ALICE)
    protected = service(JWT)
    async with opened(marks=marks) as passport:
        before = passport.identify(protected, ask.bearing(token), print)
        await marks.set(kind, issuer.issuer if name is None else named(issuer.issuer, name), value)
        await marks.set(kind, "https://other.example" + (f" {ALICE['jti']}" if name else ""), str(NOW * 2))
        assert passport.identify(protected, ask.bearing(token), print) is before


async def test_who_signs_in_again_is_let_in(opened, issuer, service, ask, marks, clock):
    async with opened(marks=marks) as passport:
        await marks.set(USER, named(issuer.issuer, "alice"), str(NOW))
        assert await is_refused(passport, service, ask, issuer.token(**ALICE))
        assert not await is_refused(passport, service, ask, issuer.token(**ALICE, iat=NOW + 1))


async def test_what_does_not_say_when_it_was_issued_was_issued_before(opened, issuer, service, ask, marks):
    async with opened(marks=marks) as passport:
        await marks.set(REALM, issuer.issuer, "1")
        assert await is_refused(passport, service, ask, issuer.token(**ALICE, iat=None))


async def test_any_token_can_be_revoked_by_its_digest(opened, issuer, service, ask, who, marks):
    issuer.told["opaque"] = {"active": True, "token_type": "Bearer", **issuer.claims(jti=None)}
    asks = Introspection(client_id="gateway", client_secret="s", tokens=("opaque",))
    async with opened(marks=marks, introspection=asks) as passport:
        for token in (issuer.token(), "opaque"):
            await who(passport, service(JWT), ask.bearing(token))
            await marks.set(DIGEST, sha256(token.encode()).hexdigest())
            with pytest.raises(Unauthorized) as caught:
                await who(passport, service(JWT), ask.bearing(token))
            assert caught.value.code == "token_revoked"


async def test_a_revocation_ends_by_its_time(opened, issuer, service, ask, marks, clock):
    async with opened(marks=marks) as passport:
        await marks.set(TOKEN, named(issuer.issuer, "t1"), until=NOW + 10.0)
        assert await is_refused(passport, service, ask, issuer.token(**ALICE))
        clock.now += 11
        assert not await is_refused(passport, service, ask, issuer.token(**ALICE))


async def test_until_it_is_known_what_was_revoked_nobody_can_say(opened, issuer, service, ask, marks):
    marks.known = False
    token = issuer.token(**ALICE)
    async with opened(marks=marks) as passport:
        with pytest.raises(Unavailable) as caught:
            passport.identify(service(JWT), ask.bearing(token), print)
        assert (caught.value.code, caught.value.retry_after) == ("identity_unavailable", 1)
        marks.known = True
        assert passport.identify(service(JWT), ask.bearing(token), print) is not None


class Counting:
    """Marks that count how often they are asked."""

    known, version, asked = True, 0, 0

    def get(self, kind: str, name: str) -> Mark | None:
        self.asked += 1
        return None


def test_recognised_tokens_are_looked_at_once_for_each_change():
    marks = Counting()
    cache = TokenCache(marks=marks)
    identity = Identity(subject="alice", claims={"iss": "i", "sub": "alice", "jti": "t1", "iat": 1})
    cache.put(b"digest", Entry(identity, NOW + 1.0, None), NOW)
    for _ in range(100):
        assert cache.get(b"digest", NOW) is identity
    assert marks.asked == 0
    marks.version += 1
    for _ in range(100):
        assert cache.get(b"digest", NOW) is identity
    assert marks.asked == 5
