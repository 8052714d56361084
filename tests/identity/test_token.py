"""Strict reading: one spelling for each value."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.identity.refusals import InvalidToken
from gateway.identity.token import TOKEN_BYTES, base64url, json_object, parse


def encoded(data: bytes) -> bytes:
    return urlsafe_b64encode(data).rstrip(b"=")


@given(st.binary(max_size=100))
def test_base64url_reads_what_was_written(data):
    assert base64url(encoded(data)) == data


@given(st.binary(max_size=12) | st.text("AQgwxyz01-_", max_size=12).map(str.encode))
def test_base64url_has_one_spelling_for_each_value(text):
    try:
        data = base64url(text)
    except ValueError:
        return
    assert encoded(data) == text


@pytest.mark.parametrize("text", [b"QR", b"QUF", b"Q", b"QQ==", b"QUFB\n", b" QUFB", b"+/+/", b"QU FB", b"Q=Q="])
def test_base64url_refuses_what_is_not_canonical(text):
    with pytest.raises(ValueError, match="base64url"):
        base64url(text)


@given(st.dictionaries(st.text(), st.none() | st.integers(-(10**9), 10**9) | st.text() | st.lists(st.booleans())))
def test_json_object_reads_what_json_writes(value):
    assert json_object(json.dumps(value).encode()) == value


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"1",
        b"[]",
        b'"a"',
        b"null",
        b'{"a":1,"a":1}',
        b'{"a":{"b":1,"\\u0062":2}}',
        b'{"a":NaN}',
        b'{"a":Infinity}',
        b'{"a":1e999}',
        b'{"a":-1e999}',
        b'{"a":01}',
        b"{'a':1}",
        b'{"a":1,}',
        b'{"a":1}{}',
        b'{"a":"\xed\xa0\x80"}',
        b"\xef\xbb\xbf{}",
        '{"a":1}'.encode("utf-16"),
        b'{"a":' + b"[" * 17 + b"]" * 17 + b"}",
        b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"a":' + b"1" * 33 + b"}",
    ],
    ids=lambda text: repr(text[:30]),
)
def test_json_object_refuses(text):
    with pytest.raises(ValueError):
        json_object(text)


def test_braces_in_text_are_no_depth():
    assert json_object(b'{"a":"' + b"{" * 100 + b'"}') == {"a": "{" * 100}


def test_many_clients_are_no_depth():
    many = {"resource_access": {f"client-{number}": {"roles": ["a", "b"]} for number in range(100)}}
    assert json_object(json.dumps(many).encode()) == many


def test_parse_splits_a_token():
    token = encoded(b'{"alg":"ES256","kid":"k"}') + b"." + encoded(b'{"sub":"a"}') + b"." + encoded(b"mac")
    parsed = parse(token)
    assert (parsed.algorithm, parsed.kid, parsed.claims, parsed.signature) == ("ES256", "k", {"sub": "a"}, b"mac")
    assert parsed.signed + b"." + encoded(b"mac") == token


def test_a_token_without_signature_keeps_its_input_whole():
    assert parse(encoded(b'{"alg":"none"}') + b"." + encoded(b"{}") + b".").signed.count(b".") == 1


def test_size_is_checked_before_anything_is_decoded():
    with pytest.raises(InvalidToken, match="too large"):
        parse(b"." * (TOKEN_BYTES + 1))


@given(st.binary(max_size=300) | st.lists(st.binary(max_size=30).map(encoded), min_size=3, max_size=3).map(b".".join))
def test_any_bytes_are_read_or_refused(token):
    try:
        parse(token)
    except InvalidToken as error:
        assert error.code in {"token_malformed", "token_header_refused"}
