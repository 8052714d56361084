"""Which published keys are used, and for what."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.identity.keys import KEYS, key_set
from gateway.identity.refusals import InvalidToken
from gateway.identity.token import parse
from gateway.model import ASYMMETRIC

FAMILIES = {name: "rsa" if name[:2] in {"RS", "PS"} else name for name in ASYMMETRIC}


def usable(*jwks: object, algorithms: tuple[str, ...] = ASYMMETRIC) -> list[list[str]]:
    """The algorithms of each key that is left."""
    return [list(key.verifies) for key in key_set({"keys": list(jwks)}, algorithms).keys]


@pytest.mark.parametrize("algorithm", ASYMMETRIC)
async def test_every_algorithm_verifies_what_it_signed_and_nothing_else(issuer, privates, jwk, algorithm):
    private = privates[FAMILIES[algorithm]]
    keys = key_set({"keys": [jwk(private, kid="first", alg=algorithm)]}, ASYMMETRIC)
    token = parse(issuer.token(private=private, algorithm=algorithm).encode())
    assert keys.verify(token).kid == "first"
    mac, half = token.signature, len(token.signature) // 2
    for damaged in (mac[:-1], mac + b"\0", b"\0" + mac, mac[:half] + b"\0" + mac[half:], b"", bytes(len(mac))):
        with pytest.raises(InvalidToken) as caught:
            keys.verify(token._replace(signature=damaged))
        assert caught.value.code == "signature_invalid"
    with pytest.raises(InvalidToken, match="does not verify"):
        keys.verify(token._replace(signed=token.signed + b"A"))


@pytest.mark.parametrize("algorithm", ASYMMETRIC)
async def test_noise_for_a_signature_is_refused_and_nothing_worse(issuer, privates, jwk, algorithm):
    private = privates[FAMILIES[algorithm]]
    keys = key_set({"keys": [jwk(private, kid="first", alg=algorithm)]}, ASYMMETRIC)
    token = parse(issuer.token(private=private, algorithm=algorithm).encode())

    @given(st.binary(max_size=300) | st.just(b"\xff" * len(token.signature)))
    def holds(signature):
        with pytest.raises(InvalidToken):
            keys.verify(token._replace(signature=signature))

    holds()


async def test_a_der_signature_is_not_the_jose_form(issuer, privates, jwk):
    private = privates["ES256"]
    keys = key_set({"keys": [jwk(private, kid="first")]}, ASYMMETRIC)
    token = parse(issuer.token(private=private, algorithm="ES256").encode())
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    with pytest.raises(InvalidToken, match="does not verify"):
        keys.verify(token._replace(signature=private.sign(token.signed, ec.ECDSA(hashes.SHA256()))))


def test_a_key_serves_its_algorithm_alone(privates, jwk):
    assert usable(jwk(privates["rsa"], alg="PS384")) == [["PS384"]]
    assert usable(jwk(privates["ES384"], alg="ES384")) == [["ES384"]]


def test_a_key_that_names_no_algorithm_serves_one_family(privates, jwk):
    assert usable(jwk(privates["rsa"])) == [["RS256", "RS384", "RS512"]]
    assert usable(jwk(privates["rsa"]), algorithms=("PS256", "RS256")) == [["PS256"]]
    assert usable(jwk(privates["ES512"])) == [["ES512"]]
    assert usable(jwk(privates["EdDSA"])) == [["EdDSA"]]


def test_keys_for_other_purposes_are_left_out(privates, jwk):
    key = privates["rsa"]
    good = jwk(key, use="sig", key_ops=["verify"], alg="RS256")
    assert usable(good) == [["RS256"]]
    others = [
        {"use": "enc"},
        {"use": "enc", "alg": "RSA-OAEP"},
        {"use": None, "alg": "RSA-OAEP"},
        {"key_ops": ["encrypt"]},
        {"key_ops": "verify"},
        {"alg": "HS256"},
        {"alg": "none"},
        {"alg": "ES256"},
        {"alg": 7},
        {"alg": ["RS256"]},
        {"kid": 7},
        {"kid": ["first"]},
    ]
    for other in others:
        assert usable(jwk(key, **{"use": "sig", "alg": "RS256", **other}), good) == [["RS256"]], other


def test_an_algorithm_that_is_not_configured_has_no_key(privates, jwk):
    assert usable(jwk(privates["rsa"], alg="RS256"), algorithms=("ES256",)) == []
    assert usable(jwk(privates["rsa"], alg="RS256"), algorithms=("HS256", "none")) == []


def test_a_key_must_fit_its_algorithm(privates, jwk):
    assert usable(jwk(privates["ES256"], alg="ES384")) == []
    assert usable(jwk(privates["ES256"], alg="RS256")) == []
    assert usable(jwk(privates["ES256K"])) == []


def test_weak_private_and_symmetric_keys_are_left_out(privates, jwk):
    import jwt

    private = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(privates["rsa"])) | {"key_ops": ["verify"]}
    assert usable(jwk(privates["weak"]), private, {"kty": "oct", "k": "AQAB"}) == []
    assert usable(jwk(privates["EdDSA"]) | {"d": "AQAB"}) == []


members = st.sampled_from(["kty", "crv", "n", "e", "x", "y", "alg", "use", "kid", "key_ops"])
values = st.none() | st.integers() | st.text(max_size=9) | st.lists(st.text(max_size=3), max_size=2) | st.just({})


@given(kind=st.sampled_from(["rsa", "ES256", "EdDSA"]), changed=st.dictionaries(members, values, max_size=2))
def test_a_damaged_key_is_left_out_and_nothing_worse(privates, jwk, kind, changed):
    usable({**jwk(privates[kind]), **changed})


@pytest.mark.parametrize("member", [None, 7, "key", [], {}, {"kty": "RSA"}, {"kty": ["RSA"]}, {"kty": "EC", "crv": []}])
def test_what_is_no_key_is_left_out(privates, jwk, member):
    assert usable(member, jwk(privates["EdDSA"])) == [["EdDSA"]]


@pytest.mark.parametrize("document", [{}, {"keys": None}, {"keys": {}}, {"keys": [{}] * (KEYS + 1)}])
def test_what_is_no_set_is_an_error(document):
    with pytest.raises(ValueError, match="JWK Set"):
        key_set(document, ASYMMETRIC)


async def test_two_keys_of_one_name_are_told_apart_by_algorithm_or_not_used(issuer, privates, jwk):
    token = parse(issuer.token().encode())
    first, other = jwk(privates["rsa"], kid="first", alg="RS256"), jwk(privates["other"], kid="first", alg="RS256")
    assert key_set({"keys": [first, jwk(privates["ES256"], kid="first")]}, ASYMMETRIC).verify(token)
    with pytest.raises(InvalidToken) as caught:
        key_set({"keys": [first, other]}, ASYMMETRIC).verify(token)
    assert caught.value.code == "key_unknown"
