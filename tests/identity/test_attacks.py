"""What the corpus (test_corpus.py) does not hold: other settings, and whatever nobody has thought of."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import GatewayError, Unauthorized


async def refused(passport, service, ask, who, token: str | bytes) -> str:
    with pytest.raises(Unauthorized) as caught:
        await who(passport, service({"jwt": "keycloak"}), ask.bearing(token))
    assert 'error="invalid_token"' in caught.value.challenges[0]
    return caught.value.code


async def test_only_the_configured_algorithms_are_taken(opened, issuer, service, ask, who):
    async with opened(algorithms=("ES256",)) as passport:
        assert await refused(passport, service, ask, who, issuer.token()) == "algorithm_refused"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
names = ["iss", "aud", "exp", "nbf", "iat", "typ", "sub", "azp", "client_id", "realm_access", "resource_access", "cnf"]


noise = st.binary(max_size=200)


async def test_nothing_but_a_decided_refusal_comes_of_any_token(opened, issuer, service, ask):
    """Signed claims of any shape, signed headers of any shape, and plain noise."""
    protected = service({"jwt": "keycloak"})

    @given(
        claims=st.dictionaries(st.sampled_from(names), json_values, max_size=2),
        header=st.dictionaries(st.sampled_from(["alg", "kid", "typ", "crit"]), json_values, max_size=1),
        noise=noise,
    )
    @settings(max_examples=200, deadline=None)
    def holds(claims, header, noise):
        head = {"alg": "RS256", "kid": "first", "typ": "JWT", **header}
        token = issuer.sign(json.dumps(head).encode(), json.dumps({**issuer.claims(), **claims}).encode()).encode()
        for text in (token, noise, token.replace(b"A", noise[:3], 2)):
            try:
                identity = passport.identify(protected, ask.bearing(text), lambda _: None)
            except GatewayError:
                continue
            assert identity is None or "gateway" in identity.claims["aud"]

    async with opened() as passport:
        holds()


async def test_nothing_but_a_decided_refusal_comes_of_any_authorization(opened, service, ask):
    protected = service({"jwt": "keycloak"}, {"api_key": ("basic", "password")}, {"api_key": ("query", "key")})

    @given(field=noise | noise.map(lambda tail: b"Basic " + tail), query=st.binary(max_size=40))
    @settings(max_examples=200, deadline=None)
    def holds(field, query):
        with pytest.raises(GatewayError):
            passport.identify(protected, ask([(b"authorization", field)], query=b"key=" + query), lambda _: None)

    async with opened() as passport:
        holds()
