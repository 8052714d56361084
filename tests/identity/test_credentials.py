"""What a request presents."""

from __future__ import annotations

from base64 import b64encode

import pytest

from gateway.identity.credentials import bearer, reader
from gateway.identity.refusals import Invalid
from gateway.model import KeyPlace

HEADER, QUERY = KeyPlace("header", "X-Api-Key"), KeyPlace("query", "api_key")
USERNAME, PASSWORD = KeyPlace("basic", "username"), KeyPlace("basic", "password")


def token(ask) -> bytes | None:
    return bearer(ask)


def key(ask, place: KeyPlace) -> bytes | None:
    return reader(place)(ask)


def authorization(ask, *values: bytes):
    return ask([(b"authorization", value) for value in values])


def basic(pair: bytes) -> bytes:
    return b"Basic " + b64encode(pair)


@pytest.mark.parametrize("value", [b"Bearer a.b.c", b"bearer a.b.c", b"BEARER a.b.c", b"Bearer   a.b.c"])
def test_a_bearer_token_whatever_the_case_of_its_scheme(ask, value):
    assert token(authorization(ask, value)) == b"a.b.c"


@pytest.mark.parametrize("value", [b"Basic dTpw", b"DPoP a.b.c", b"Digest a=b", b"Bearertoken a.b.c"])
def test_other_schemes_are_other_credentials(ask, value):
    assert token(authorization(ask, value)) is None


def test_an_empty_bearer_token_is_presented_all_the_same(ask):
    assert token(authorization(ask, b"Bearer")) == b""
    assert token(ask()) is None


@pytest.mark.parametrize("value", [b"", b" Bearer a.b.c", b"Bearer\ta.b.c", b"Bear\xffer a", b"a,b c", b"\x00"])
def test_an_authorization_that_begins_with_no_scheme_is_refused(ask, value):
    with pytest.raises(Invalid) as caught:
        token(authorization(ask, value))
    assert caught.value.code == "credentials_malformed"


def test_a_token_in_the_query_is_no_bearer_token(ask):
    assert token(ask(query=b"access_token=a.b.c")) is None


def test_two_authorization_fields_are_ambiguous(ask):
    with pytest.raises(Invalid) as caught:
        token(authorization(ask, b"Bearer a.b.c", b"Bearer a.b.c"))
    assert caught.value.code == "credentials_ambiguous"


def test_a_key_in_a_header(ask):
    assert key(ask([(b"x-api-key", b"k")]), HEADER) == b"k"
    assert key(ask([(b"x-api-key", b"")]), HEADER) == b""
    assert key(ask([(b"x-other", b"k")]), HEADER) is None


@pytest.mark.parametrize(
    ("query", "found"),
    [
        (b"api_key=k", b"k"),
        (b"a=b&api_key=k&c", b"k"),
        (b"api%5Fkey=%6B", b"k"),
        (b"api_key=a+b%2B", b"a b+"),
        (b"api_key=", b""),
        (b"api_key", b""),
        (b"api_key=a=b", b"a=b"),
        (b"API_KEY=k", None),
        (b"xapi_key=k", None),
        (b"x=api_key=k", None),
        (b"%ZZ=k", None),
        (b"", None),
    ],
)
def test_a_key_in_the_query_is_decoded(ask, query, found):
    assert key(ask(query=query), QUERY) == found


@pytest.mark.parametrize("query", [b"api_key=a&api_key=a", b"api_key=a&api%5fkey=b", b"api_key&api_key=a"])
def test_a_key_twice_in_the_query_is_ambiguous(ask, query):
    with pytest.raises(Invalid) as caught:
        key(ask(query=query), QUERY)
    assert caught.value.code == "credentials_ambiguous"


@pytest.mark.parametrize("value", [b"%", b"%4", b"%zz", b"a%g0"])
def test_a_key_in_the_query_that_is_not_well_encoded_is_refused(ask, value):
    with pytest.raises(Invalid) as caught:
        key(ask(query=b"api_key=" + value), QUERY)
    assert caught.value.code == "credentials_malformed"


def test_a_key_twice_in_headers_is_ambiguous(ask):
    with pytest.raises(Invalid) as caught:
        key(ask([(b"x-api-key", b"k"), (b"x-api-key", b"k")]), HEADER)
    assert caught.value.code == "credentials_ambiguous"


def test_a_key_as_user_name_or_password(ask):
    asked = authorization(ask, basic(b"user:pass:word"))
    assert (key(asked, USERNAME), key(asked, PASSWORD)) == (b"user", b"pass:word")


@pytest.mark.parametrize(
    "value",
    [
        b"Basic",
        b"Basic !",
        b"Basic dTpw=",
        b"Basic dTp",
        basic(b"nocolon"),
        basic(b"a\n:b"),
        basic(b"a:b\x7f"),
        basic(b""),
    ],
)
def test_basic_credentials_that_cannot_be_read_are_refused(ask, value):
    with pytest.raises(Invalid) as caught:
        key(authorization(ask, value), USERNAME)
    assert caught.value.code == "credentials_malformed"
