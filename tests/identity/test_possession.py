"""Tokens that are bound to a key or to a certificate: good with it, and worth nothing without."""

from __future__ import annotations

import asyncio
from hashlib import sha256
from itertools import count
from typing import Any

import pytest

from gateway.errors import TooMany, Unauthorized, Unavailable
from gateway.http.answers import problem
from gateway.identity.nonces import Nonces
from gateway.model import Dpop, Introspection, Rate
from gateway.store import StoreAway
from gateway.store.memory_records import MemoryRecords
from gateway.store.replays import Replays

from .proofs import NOW, URL, Holder, b64

JWT = {"jwt": "keycloak"}
REQUIRED = Dpop(use="required")


@pytest.fixture
def holder(privates) -> Holder:
    return Holder(privates["ES256"])


@pytest.fixture
def bound(issuer, holder):
    """A token that is bound to the holder's key, as Keycloak makes them."""
    return issuer.token(typ="DPoP", cnf={**holder.cnf, "kc-jkt-type": "DPoP"})


@pytest.fixture
def opening(opened, clock):
    """A passport that remembers which proofs were used."""
    records = MemoryRecords(clock)
    records._since = NOW - 3600.0
    return lambda **more: opened(replays=Replays(records), **more)


def by_dpop(ask, token: str, *proofs: bytes, **changed: Any):
    fields = [(b"authorization", b"DPoP " + token.encode()), *((b"dpop", proof) for proof in proofs)]
    return ask(fields, **changed)


async def refused(passport, service, who, asked) -> tuple[str, tuple[str, ...]]:
    with pytest.raises(Unauthorized) as caught:
        await who(passport, service(JWT), asked)
    return caught.value.code, caught.value.challenges


async def test_a_proof_lets_in_each_request_has_its_own(opening, service, ask, who, holder, bound):
    protected = service(JWT)
    async with opening() as passport:
        first = await who(passport, protected, by_dpop(ask, bound, holder.proof(bound)))
        assert first.proof == ("jwt:keycloak", "dpop")
        again = await who(passport, protected, by_dpop(ask, bound, holder.proof(bound, jti="proof-2")))
        assert again is first
        code, challenges = await refused(passport, service, who, by_dpop(ask, bound, holder.proof(bound)))
        assert code == "dpop_proof_replayed"
        assert challenges[0].startswith('DPoP realm="orders", error="invalid_dpop_proof", error_description="')
        assert challenges[0].endswith(', algs="RS256 RS384 RS512 PS256 PS384 PS512 ES256 ES384 ES512 EdDSA"')
        assert challenges[1:] == ('Bearer realm="orders"',)


@pytest.mark.parametrize(
    ("algorithm", "key"),
    [(algorithm, "rsa") for algorithm in ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")]
    + [(algorithm, algorithm) for algorithm in ("ES256", "ES384", "ES512", "EdDSA")],
)
async def test_proofs_of_each_algorithm(opening, issuer, service, ask, who, privates, algorithm, key):
    holder = Holder(privates[key], algorithm)
    token = issuer.token(cnf=holder.cnf)
    async with opening() as passport:
        assert await who(passport, service(JWT), by_dpop(ask, token, holder.proof(token)))


@pytest.mark.parametrize(
    ("htu", "changed"),
    [
        (URL, {}),
        ("HTTPS://API.EXAMPLE.COM/orders", {}),
        ("https://api.example.com:443/orders", {}),
        ("https://api.example.com/%6Frders", {}),
        ("https://api.example.com/./orders", {}),
        (URL + "?a=b#c", {}),
        (URL, {"query": b"a=b"}),
        ("https://api.example.com:8443/orders", {"origin": b"https://api.example.com:8443"}),
        (URL, {"origin": b"https://API.example.com:443"}),
        ("http://api.example.com/orders", {"origin": b"http://api.example.com:80"}),
        ("https://api.example.com", {"path": b"/"}),
    ],
)
async def test_a_proof_is_for_the_url_that_the_client_used(opening, service, ask, who, holder, bound, htu, changed):
    async with opening() as passport:
        assert await who(passport, service(JWT), by_dpop(ask, bound, holder.proof(bound, htu=htu), **changed))


async def test_a_proof_by_another_key_is_none(opening, service, ask, who, bound, privates, holder):
    thief = Holder(privates["other"], "RS256")
    async with opening() as passport:
        assert (await refused(passport, service, who, by_dpop(ask, bound, thief.proof(bound))))[0] == "dpop_key_wrong"
        forged = thief.proof(bound, header={"jwk": holder.jwk, "alg": "RS256"})
        assert (await refused(passport, service, who, by_dpop(ask, bound, forged)))[0] == "dpop_proof_malformed"
        head, body, signature = holder.proof(bound).split(b".")
        broken = b".".join((head, body, signature[:-4] + b"AAAA"))
        assert (await refused(passport, service, who, by_dpop(ask, bound, broken)))[0] == "dpop_proof_wrong"


async def test_the_scheme_must_be_the_tokens(opening, issuer, service, ask, who, holder, bound):
    """Also where the token is known already: no downgrade (RFC 9449 7.2)."""
    async with opening() as passport:
        for _ in range(2):
            code, challenges = await refused(passport, service, who, ask.bearing(bound))
            assert code == "dpop_required"
            assert challenges[0].startswith('DPoP realm="orders", error="invalid_dpop_proof"')
            await who(passport, service(JWT), by_dpop(ask, bound, holder.proof(bound, jti=f"{next(NUMBERS)}")))
        proof = (b"dpop", holder.proof(bound, jti="bearer"))
        assert (await refused(passport, service, who, ask.bearing(bound, proof)))[0] == "dpop_required"
        plain = issuer.token()
        for _ in range(2):
            asked = by_dpop(ask, plain, holder.proof(plain, jti=f"{next(NUMBERS)}"))
            code, challenges = await refused(passport, service, who, asked)
            assert code == "token_not_bound"
            assert 'DPoP realm="orders", error="invalid_token"' in challenges[0]
            assert passport.identify(service(JWT), ask.bearing(plain), print) is not None


NUMBERS = count()


async def test_without_proof_or_with_several_it_is_refused(opening, service, ask, who, holder, bound):
    one, two = holder.proof(bound), holder.proof(bound, jti="proof-2")
    async with opening() as passport:
        assert (await refused(passport, service, who, by_dpop(ask, bound)))[0] == "dpop_proof_missing"
        assert (await refused(passport, service, who, by_dpop(ask, bound, one, two)))[0] == "dpop_proof_malformed"
        large = holder.proof(bound, x="x" * 8000)
        assert (await refused(passport, service, who, by_dpop(ask, bound, large)))[0] == "dpop_proof_malformed"
        assert await who(passport, service(JWT), by_dpop(ask, bound, one))


async def test_what_is_wrong_with_the_token_is_told_by_its_scheme(opening, issuer, service, ask, who, holder):
    expired = issuer.token(cnf=holder.cnf, exp=NOW - 60)
    async with opening() as passport:
        code, challenges = await refused(passport, service, who, by_dpop(ask, expired, holder.proof(expired)))
    assert code == "token_expired"
    assert challenges[0].startswith('DPoP realm="orders", error="invalid_token"')


async def test_bound_tokens_may_be_required(opening, issuer, service, ask, who, holder, bound):
    async with opening(dpop=REQUIRED) as passport:
        plain = issuer.token()
        for _ in range(2):
            code, challenges = await refused(passport, service, who, ask.bearing(plain))
            assert (code, len(challenges)) == ("dpop_required", 1)
        assert await who(passport, service(JWT), by_dpop(ask, bound, holder.proof(bound)))
        _, challenges = await refused(passport, service, who, ask())
        assert challenges == (f'DPoP realm="orders", algs="{" ".join(REQUIRED.algorithms)}"',)


async def test_bound_tokens_may_be_refused(opening, service, ask, who, holder, bound):
    async with opening(dpop=Dpop(use="off")) as passport:
        assert (await refused(passport, service, who, ask.bearing(bound)))[0] == "token_bound"
        by_proof = by_dpop(ask, bound, holder.proof(bound))
        assert (await refused(passport, service, who, by_proof))[0] == "credentials_missing"


async def test_algorithms_of_proofs_may_be_few(opening, issuer, service, ask, who, holder, bound, privates):
    async with opening(dpop=Dpop(algorithms=("ES384",))) as passport:
        assert (await refused(passport, service, who, by_dpop(ask, bound, holder.proof(bound))))[0] == (
            "dpop_proof_malformed"
        )
        other = Holder(privates["ES384"], "ES384")
        token = issuer.token(cnf=other.cnf)
        assert await who(passport, service(JWT), by_dpop(ask, token, other.proof(token)))


async def test_a_token_is_good_with_the_certificate_that_it_is_bound_to(opening, issuer, service, ask, who):
    token = issuer.token(cnf={"x5t#S256": b64(sha256(b"certificate").digest())})
    asked = ask.bearing(token)
    async with opening() as passport:
        for certificate, code in ((None, "token_certificate_missing"), (b"other", "token_certificate_wrong")):
            asked.certificate = certificate
            assert (await refused(passport, service, who, asked))[0] == code
            asked.certificate = b"certificate"
            identity = await who(passport, service(JWT), asked)
            assert passport.identify(service(JWT), asked, print) is identity


async def test_a_token_may_be_bound_to_both(opening, issuer, service, ask, who, holder):
    token = issuer.token(cnf={**holder.cnf, "x5t#S256": b64(sha256(b"certificate").digest())})
    asked = by_dpop(ask, token, holder.proof(token))
    async with opening() as passport:
        assert (await refused(passport, service, who, asked))[0] == "token_certificate_missing"
        asked.certificate = b"certificate"
        assert await who(passport, service(JWT), asked)


async def test_an_opaque_token_may_be_bound(opening, issuer, service, ask, who, holder):
    claims = {"active": True, "token_type": "DPoP", **issuer.claims(typ=None, cnf=holder.cnf)}
    issuer.told["opaque"] = claims
    asks = Introspection(client_id="gateway", client_secret="s", tokens=("opaque",))
    async with opening(introspection=asks) as passport:
        assert (await refused(passport, service, who, ask.bearing("opaque")))[0] == "dpop_required"
        for number in range(2):
            asked = by_dpop(ask, "opaque", holder.proof("opaque", jti=f"p{number}"))
            assert (await who(passport, service(JWT), asked)).proof == ("jwt:keycloak", "dpop")


class Away(MemoryRecords):
    async def put(self, *_: Any, **__: Any) -> bool:
        raise StoreAway("the store does not answer")


async def test_while_the_store_is_away_no_proof_is_taken(opened, service, ask, who, holder, bound, clock):
    for replays in (Replays(Away(clock)), None):
        async with opened(replays=replays) as passport:
            with pytest.raises(Unavailable) as caught:
                await who(passport, service(JWT), by_dpop(ask, bound, holder.proof(bound)))
            assert caught.value.code == "identity_unavailable"


async def test_what_is_older_than_the_memory_is_refused(opened, service, ask, who, holder, bound, clock):
    """The store may have forgotten its use."""
    async with opened(replays=Replays(MemoryRecords(clock))) as passport:
        code, _ = await refused(passport, service, who, by_dpop(ask, bound, holder.proof(bound)))
        assert code == "dpop_proof_replayed"
        clock.now += 20
        assert await who(passport, service(JWT), by_dpop(ask, bound, holder.proof(bound, iat=NOW + 20, jti="later")))


async def test_two_requests_with_one_proof_at_once_are_one(opening, service, ask, who, holder, bound):
    async with opening() as passport:
        asked = by_dpop(ask, bound, holder.proof(bound))
        answers = await asyncio.gather(*(who(passport, service(JWT), asked) for _ in range(10)), return_exceptions=True)
    assert sum(not isinstance(answer, Exception) for answer in answers) == 1


NONCE = Dpop(nonce=True)


async def test_a_nonce_of_now_may_be_asked_for(opening, service, ask, who, holder, bound, clock):
    """RFC 9449 9. One of a minute ago is good too, so that no client asks in vain."""

    async def told(*proofs: bytes) -> Unauthorized:
        with pytest.raises(Unauthorized) as caught:
            await who(passport, service(JWT), by_dpop(ask, bound, *proofs))
        return caught.value

    async with opening(dpop=NONCE, tolerance=Rate(1, 60)) as passport:
        for number, nonce in enumerate([None, "guess", 7, "ü"]):
            refusal = await told(holder.proof(bound, jti=f"{number}", nonce=nonce))
            assert refusal.code == "dpop_nonce_required"
            assert 'DPoP realm="orders", error="use_dpop_nonce"' in refusal.challenges[0]
        line = f"dpop-nonce: {refusal.nonce}\r\n".encode()
        assert line in problem(refusal, "1", now=NOW, close=False)
        good = holder.proof(bound, jti="good", nonce=refusal.nonce)
        assert await who(passport, service(JWT), by_dpop(ask, bound, good))
        clock.now += 60
        again = holder.proof(bound, jti="again", nonce=refusal.nonce, iat=NOW + 60)
        assert await who(passport, service(JWT), by_dpop(ask, bound, again))
        clock.now += 60
        late = await told(holder.proof(bound, jti="late", nonce=refusal.nonce, iat=NOW + 120))
        assert late.nonce not in (None, refusal.nonce)
        assert (await told(holder.proof(bound, jti="bad", nonce=late.nonce, iat=NOW + 120, htm="PUT"))).nonce is None


async def test_gateways_know_each_others_nonces(clock):
    records = MemoryRecords(clock)
    one, two = (Nonces(Replays(records), clock) for _ in range(2))
    assert await one.current() == await two.current()
    assert await two.is_good(await one.current())
    other = Nonces(Replays(MemoryRecords(clock)), clock)
    assert not await other.is_good(await one.current())
    await records.drop("dpop-nonces", "key")
    clock.now += 61
    assert await one.current() == await two.current()


async def test_an_address_that_sends_bad_proofs_is_soon_not_looked_at(opening, service, ask, who, holder, bound):
    async with opening(tolerance=Rate(3, 60)) as passport:
        assert await who(passport, service(JWT), by_dpop(ask, bound, holder.proof(bound)))
        for _ in range(3):
            await refused(passport, service, who, by_dpop(ask, bound, holder.proof(bound, htm="PUT")))
        with pytest.raises(TooMany):
            await who(passport, service(JWT), by_dpop(ask, bound, holder.proof(bound, jti="good")))
