"""Tokens that must be refused, each with its code, beside those that must not be."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import GatewayError, Unauthorized

NOW = 1_800_000_000

CLAIMS: list[tuple[str, dict[str, Any], str]] = [
    ("expired", {"exp": NOW - 31}, "token_expired"),
    ("expired long ago", {"exp": 0}, "token_expired"),
    ("without exp", {"exp": None}, "token_malformed"),
    ("exp as text", {"exp": "1900000000"}, "token_malformed"),
    ("exp true", {"exp": True}, "token_malformed"),
    ("exp negative", {"exp": -1}, "token_malformed"),
    ("exp in milliseconds", {"exp": NOW * 1000}, "token_malformed"),
    ("exp as a list", {"exp": [NOW + 300]}, "token_malformed"),
    ("not yet valid", {"nbf": NOW + 31}, "token_not_yet_valid"),
    ("nbf as text", {"nbf": "0"}, "token_malformed"),
    ("nbf false", {"nbf": False}, "token_malformed"),
    ("issued in the future", {"iat": NOW + 31}, "token_not_yet_valid"),
    ("iat as text", {"iat": "0"}, "token_malformed"),
    ("iat as an object", {"iat": {}}, "token_malformed"),
    ("another issuer", {"iss": "https://evil.example/realms/demo"}, "issuer_wrong"),
    ("without issuer", {"iss": None}, "issuer_wrong"),
    ("issuer as a list", {"iss": ["http://127.0.0.1/realms/demo"]}, "issuer_wrong"),
    ("without audience, as lightweight tokens are", {"aud": None}, "audience_missing"),
    ("for another audience", {"aud": "account"}, "audience_wrong"),
    ("for none", {"aud": []}, "audience_wrong"),
    ("audience in another case", {"aud": "Gateway"}, "audience_wrong"),
    ("audience as an object", {"aud": {"gateway": 1}}, "token_malformed"),
    ("audience of numbers", {"aud": ["gateway", 1]}, "token_malformed"),
    ("an ID token", {"typ": "ID"}, "token_type_wrong"),
    ("a refresh token", {"typ": "Refresh"}, "token_type_wrong"),
    ("an offline token", {"typ": "Offline"}, "token_type_wrong"),
    ("a logout token", {"typ": "Logout"}, "token_type_wrong"),
    ("a DPoP token", {"typ": "DPoP"}, "token_type_wrong"),
    ("a type in another case", {"typ": "bearer"}, "token_type_wrong"),
    ("a type as a list", {"typ": ["Bearer"]}, "token_type_wrong"),
    ("without a type", {"typ": None}, "token_type_wrong"),
    ("bound to a certificate", {"cnf": {"x5t#S256": "abc"}}, "token_bound"),
    ("bound to a key", {"cnf": {"jkt": "abc"}}, "token_bound"),
    ("bound to nothing that is understood", {"cnf": {}}, "token_bound"),
    ("without subject", {"sub": None}, "subject_missing"),
    ("an empty subject", {"sub": ""}, "token_malformed"),
    ("a subject that is a number", {"sub": 7}, "token_malformed"),
    ("a subject that breaks lines", {"sub": "a\r\nX-Admin: 1"}, "token_malformed"),
    ("a subject with a lone surrogate", {"sub": "\ud800"}, "token_malformed"),
    ("a subject too long", {"sub": "a" * 256}, "token_malformed"),
    ("a client that is a list", {"azp": ["mobile-app"]}, "token_malformed"),
    ("a client that breaks lines", {"azp": "a\n"}, "token_malformed"),
]

HEADERS: list[tuple[str, dict[str, Any], str]] = [
    ("crit", {"crit": ["exp"]}, "token_header_refused"),
    ("b64", {"b64": False, "crit": ["b64"]}, "token_header_refused"),
    ("an embedded key", {"jwk": {"kty": "RSA", "n": "AQAB", "e": "AQAB"}}, "token_header_refused"),
    ("a key's address", {"jku": "https://evil.example/jwks"}, "token_header_refused"),
    ("a certificate", {"x5c": ["MIIB"]}, "token_header_refused"),
    ("a certificate's address", {"x5u": "https://evil.example/cert"}, "token_header_refused"),
    ("an unknown key", {"kid": "second"}, "key_unknown"),
    ("a key's path", {"kid": "../../../../dev/null"}, "key_unknown"),
    ("a key by SQL", {"kid": "first' OR '1'='1"}, "key_unknown"),
    ("an empty kid", {"kid": ""}, "key_unknown"),
    ("a huge kid", {"kid": "k" * 257}, "token_malformed"),
    ("typ of an ID token", {"typ": "id+jwt"}, "token_type_wrong"),
    ("typ of a logout token", {"typ": "logout+jwt"}, "token_type_wrong"),
    ("typ of DPoP", {"typ": "dpop+jwt"}, "token_type_wrong"),
]

VALID: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("as Keycloak makes them", {}, {}),
    ("RFC 9068's type", {"typ": "at+jwt"}, {}),
    ("RFC 9068's type alone", {"typ": "at+jwt"}, {"typ": None}),
    ("the type in full", {"typ": "application/at+JWT"}, {}),
    ("the type in small letters", {"typ": "jwt"}, {}),
    ("without kid, as one key fits", {"kid": None}, {}),
    ("one audience", {}, {"aud": "gateway"}),
    ("fractions of seconds", {}, {"exp": NOW + 300.5, "iat": NOW - 0.5}),
    ("expired within the leeway", {}, {"exp": NOW - 29}),
    ("valid within the leeway", {}, {"nbf": NOW + 29, "iat": NOW + 29}),
    ("without iat", {}, {"iat": None}),
    ("a certificate's digest", {"x5t": "abc"}, {}),
    ("client_id for azp", {}, {"azp": None, "client_id": "mobile-app"}),
    ("a name beyond ASCII", {}, {"sub": "jürgen"}),
    ("malformed roles", {}, {"realm_access": ["customer"], "resource_access": "none"}),
]


def ids(table: list[Any]) -> list[str]:
    return [row[0] for row in table]


async def refused(passport, service, ask, who, token: str | bytes) -> str:
    with pytest.raises(Unauthorized) as caught:
        await who(passport, service({"jwt": "keycloak"}), ask.bearing(token))
    assert 'error="invalid_token"' in caught.value.challenges[0]
    return caught.value.code


@pytest.mark.parametrize(("name", "claims", "code"), CLAIMS, ids=ids(CLAIMS))
async def test_claims_that_are_refused(opened, issuer, service, ask, who, name, claims, code):
    token = issuer.token(**claims)
    async with opened() as passport:
        assert await refused(passport, service, ask, who, token) == code


@pytest.mark.parametrize(("name", "header", "code"), HEADERS, ids=ids(HEADERS))
async def test_headers_that_are_refused(opened, issuer, service, ask, who, name, header, code):
    token = issuer.token(header=header)
    async with opened() as passport:
        assert await refused(passport, service, ask, who, token) == code


@pytest.mark.parametrize(("name", "header", "claims"), VALID, ids=ids(VALID))
async def test_variants_that_are_let_in(opened, issuer, service, ask, who, name, header, claims):
    token = issuer.token(header=header, **claims)
    async with opened() as passport:
        identity = await who(passport, service({"jwt": "keycloak"}), ask.bearing(token))
    assert identity.client_id == "mobile-app"


HEAD = b'{"alg":"RS256","kid":"first","typ":"JWT"}'


def deep(levels: int) -> bytes:
    return b'{"a":' * levels + b"1" + b"}" * levels


FORGED = {  # the signature is good over these bytes, so that only strict reading refuses them
    "exp given twice": (HEAD, b'{"exp":1900000000,%s', "token_malformed"),
    "exp given twice in disguise": (HEAD, b'{"\\u0065xp":1900000000,%s', "token_malformed"),
    "alg given twice": (b'{"alg":"none","alg":"RS256","kid":"first","typ":"JWT"}', b"{%s", "token_malformed"),
    "exp NaN": (HEAD, b'{"x":NaN,%s', "token_malformed"),
    "exp infinite": (HEAD, b'{"x":-Infinity,%s', "token_malformed"),
    "a number out of range": (HEAD, b'{"x":1e400,%s', "token_malformed"),
    "a number too long": (HEAD, b'{"x":' + b"9" * 5000 + b",%s", "token_malformed"),
    "a byte order mark": (HEAD, b"\xef\xbb\xbf{%s", "token_malformed"),
    "not UTF-8": (HEAD, b'{"x":"\xff",%s', "token_malformed"),
    "a control character": (HEAD, b'{"x":"\x00",%s', "token_malformed"),
    "an array around": (HEAD, b"[{%s]", "token_malformed"),
    "something behind": (HEAD, b"{%s{}", "token_malformed"),
    "deep": (HEAD, b'{"x":' + deep(17) + b",%s", "token_malformed"),
    "very deep": (HEAD, b'{"x":' + b"[" * 4000 + b"]" * 4000 + b",%s", "token_malformed"),
    "huge": (HEAD, b'{"x":"' + b"a" * 12_300 + b'",%s', "token_malformed"),
    "a huge header": (
        b'{"alg":"RS256","kid":"first","typ":"JWT","x":"' + b"a" * 1500 + b'"}',
        b"{%s",
        "token_malformed",
    ),
    "kid a number": (b'{"alg":"RS256","kid":1,"typ":"JWT"}', b"{%s", "token_malformed"),
    "kid null": (b'{"alg":"RS256","kid":null,"typ":"JWT"}', b"{%s", "token_malformed"),
    "alg a list": (b'{"alg":["RS256"],"kid":"first","typ":"JWT"}', b"{%s", "token_malformed"),
    "without alg": (b'{"kid":"first","typ":"JWT"}', b"{%s", "token_malformed"),
    "without typ": (b'{"alg":"RS256","kid":"first"}', b"{%s", "token_type_wrong"),
    "typ a list": (b'{"alg":"RS256","kid":"first","typ":["JWT"]}', b"{%s", "token_type_wrong"),
    "alg in small letters": (b'{"alg":"rs256","kid":"first","typ":"JWT"}', b"{%s", "algorithm_refused"),
    "alg none over a good signature": (b'{"alg":"none","kid":"first","typ":"JWT"}', b"{%s", "algorithm_refused"),
    "a key's sister algorithm": (b'{"alg":"RS512","kid":"first","typ":"JWT"}', b"{%s", "algorithm_refused"),
    "a key's other family": (b'{"alg":"PS256","kid":"first","typ":"JWT"}', b"{%s", "algorithm_refused"),
}


@pytest.mark.parametrize("name", FORGED)
async def test_a_good_signature_does_not_excuse_loose_encoding(opened, issuer, service, ask, who, name):
    header, payload, code = FORGED[name]
    rest = json.dumps(issuer.claims()).encode()[1:]
    async with opened() as passport:
        token = issuer.sign(header, payload.replace(b"%s", rest))
        assert await refused(passport, service, ask, who, token) == code


MANGLED = {
    "an empty token": lambda head, body, mac: "",
    "one part": lambda head, body, mac: head,
    "two parts": lambda head, body, mac: f"{head}.{body}",
    "four parts": lambda head, body, mac: f"{head}.{body}.{mac}.",
    "five parts, as encrypted tokens have": lambda head, body, mac: f"{head}.{body}.{mac}.{mac}.{mac}",
    "padding": lambda head, body, mac: f"{head}.{body}.{mac}==",
    "the standard alphabet": lambda head, body, mac: f"{head}.{body}.{'+' + mac[1:]}",
    "a blank inside": lambda head, body, mac: f"{head}. {body}.{mac}",
    "a line break": lambda head, body, mac: f"{head}.{body}.{mac}\n",
    "a tab before": lambda head, body, mac: f"\t{head}.{body}.{mac}",
    "unused bits set": lambda head, body, mac: f"{head}.{body}.{mac[:-1]}{chr(ord(mac[-1]) + 1)}",
    "a character too many": lambda head, body, mac: f"{head}.{body}.{mac}AAA",
    "a second token": lambda head, body, mac: f"{head}.{body}.{mac}, Bearer {head}.{body}.{mac}",
}


@pytest.mark.parametrize("name", MANGLED)
async def test_other_spellings_of_a_good_token_are_refused(opened, issuer, service, ask, who, name):
    head, body, mac = issuer.token().split(".")
    async with opened() as passport:
        token = MANGLED[name](head, body, mac)
        assert await refused(passport, service, ask, who, token) == "token_malformed"


SIGNATURES = {
    "none": lambda head, body, mac: f"{head}.{body}.",
    "cut off": lambda head, body, mac: f"{head}.{body}.{mac[:-2]}",
    "longer": lambda head, body, mac: f"{head}.{body}.{'AAAA' + mac}",
    "changed": lambda head, body, mac: f"{head}.{body}.{('B' if mac[0] == 'A' else 'A') + mac[1:]}",
    "zero": lambda head, body, mac: f"{head}.{body}.{'A' * len(mac)}",
}


@pytest.mark.parametrize("name", SIGNATURES)
async def test_a_signature_that_does_not_verify_is_refused(opened, issuer, service, ask, who, name):
    token = SIGNATURES[name](*issuer.token().split("."))
    async with opened() as passport:
        assert await refused(passport, service, ask, who, token) == "signature_invalid"


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
@pytest.mark.parametrize("encoding", [Encoding.PEM, Encoding.DER])
async def test_the_public_key_is_no_shared_secret(opened, issuer, service, ask, who, algorithm, encoding):
    secret = issuer.private.public_key().public_bytes(encoding, PublicFormat.SubjectPublicKeyInfo)
    header = json.dumps({"alg": algorithm, "kid": "first", "typ": "JWT"}).encode()
    token = issuer.sign(header, json.dumps(issuer.claims()).encode(), secret, algorithm)
    async with opened() as passport:
        assert await refused(passport, service, ask, who, token) == "algorithm_refused"


async def test_another_key_under_the_same_name_is_refused(opened, issuer, service, ask, who, privates):
    async with opened() as passport:
        token = issuer.token(private=privates["other"])
        assert await refused(passport, service, ask, who, token) == "signature_invalid"


async def test_claims_changed_after_signing_are_refused(opened, issuer, service, ask, who):
    head, _, mac = issuer.token().split(".")
    _, body, _ = issuer.token(sub="admin").split(".")
    async with opened() as passport:
        assert await refused(passport, service, ask, who, f"{head}.{body}.{mac}") == "signature_invalid"


async def test_only_the_configured_algorithms_are_taken(opened, issuer, service, ask, who):
    async with opened(algorithms=("ES256",)) as passport:
        assert await refused(passport, service, ask, who, issuer.token()) == "algorithm_refused"


async def test_a_token_without_kid_is_refused_when_two_keys_fit(opened, issuer, service, ask, who, privates, jwk):
    issuer.jwks.append(jwk(privates["other"], kid="second", alg="RS256"))
    async with opened() as passport:
        assert await refused(passport, service, ask, who, issuer.token(header={"kid": None})) == "key_unknown"


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
