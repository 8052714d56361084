"""When, whence and for which pages a key serves."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Sequence
from ipaddress import ip_network

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.config.blocks.moments import moment
from gateway.identity.bounds import bounds_of
from gateway.identity.refusals import Invalid
from gateway.identity.revocations import NoMarks
from gateway.model import ApiKey

from .conftest import NOW, Ask

DIGEST = "sha256:" + 64 * "a"


def refusal(key: ApiKey, ask: Ask, now: float = NOW) -> str | None:
    try:
        for check in bounds_of(key, NoMarks()):
            check(ask, now)
    except Invalid as error:
        return error.code
    return None


def page(*values: str, field: bytes = b"referer") -> Ask:
    return Ask([(field, value.encode()) for value in values])


def test_a_key_without_bounds_is_for_anybody():
    assert refusal(ApiKey(DIGEST), Ask()) is None


def test_a_key_ends_at_its_moment():
    key = ApiKey(DIGEST, expires=NOW)
    assert refusal(key, Ask(), NOW - 0.001) is None
    assert refusal(key, Ask(), NOW) == "api_key_expired"


@pytest.mark.parametrize(
    ("peer", "code"),
    [
        ("10.1.2.3", None),
        ("::ffff:10.1.2.3", None),
        ("fd00::7", None),
        ("192.0.2.1", "address_not_allowed"),
        ("::1", "address_not_allowed"),
        ("", "address_not_allowed"),
    ],
)
def test_a_key_is_for_its_addresses(peer: str, code: str | None):
    key = ApiKey(DIGEST, addresses=(ip_network("10.0.0.0/8"), ip_network("fd00::/8")))
    assert refusal(key, Ask(peer=peer)) == code


@pytest.mark.parametrize(
    ("filters", "referrer", "passes"),
    [
        (["https://shop.example.com"], "https://shop.example.com", True),
        (["https://shop.example.com"], "https://shop.example.com/cart?id=1", True),
        (["https://shop.example.com"], "https://SHOP.example.com/", True),
        (["https://shop.example.com"], "http://shop.example.com/", False),
        (["https://shop.example.com"], "https://shop.example.com.evil.net/", False),
        (["https://shop.example.com"], "https://shop.example.com@evil.net/", False),
        (["https://shop.example.com"], "https://shop.example.com:8443/", False),
        (["https://*.example.com"], "https://a.b.example.com/x", True),
        (["https://*.example.com"], "https://example.com/", False),
        (["https://*.example.com"], "https://evil.net/.example.com", False),
        (["https://*.example.com"], "https://evil.net?.example.com", False),
        (["https://*.example.com"], "https://evil.net#.example.com", False),
        (["https://*.example.com"], "https://user@.example.com", False),
        (["https://*.example.com"], "https://a\n.example.com", False),
        (["example.com"], "http://example.com/", True),
        (["example.com"], "https://example.com/", True),
        (["https://example.com/app/*"], "https://example.com/app/1/2", True),
        (["https://example.com/app/*"], "https://example.com/application", False),
        (["https://example.com/*/edit"], "https://example.com/a/b/edit", True),
        (["https://a.example", "https://b.example"], "https://b.example/", True),
        (["https://a-*-*.example"], "https://a-x-y.example/", True),
    ],
)
def test_a_key_is_for_its_pages(filters: Sequence[str], referrer: str, passes: bool):
    key = ApiKey(DIGEST, referrers=tuple(filters))
    assert refusal(key, page(referrer)) == (None if passes else "referrer_not_allowed")


def test_origin_stands_for_a_referrer_that_is_not_told():
    key = ApiKey(DIGEST, referrers=("https://shop.example.com",))
    assert refusal(key, page("https://shop.example.com", field=b"origin")) is None
    assert refusal(key, page("null", field=b"origin")) == "referrer_not_allowed"
    assert refusal(key, Ask()) == "referrer_not_allowed"
    assert refusal(key, page("https://shop.example.com/", "https://shop.example.com/")) == "referrer_not_allowed"


def test_no_referrer_takes_long_to_be_judged():
    key = ApiKey(DIGEST, referrers=("https://" + "*a" * 40 + ".example",))
    began = time.process_time()
    assert refusal(key, page("https://" + "a" * 4000 + "!")) == "referrer_not_allowed"
    assert time.process_time() - began < 0.1


HOSTILE = st.text(st.sampled_from("ab.:/?#@\\%*-[]\t \x00é") | st.characters(max_codepoint=0x2FF), max_size=30)


@given(before=HOSTILE, between=HOSTILE, after=HOSTILE)
@example(before="evil.net/", between="", after="")
@example(before="evil.net\\@", between="", after="")
@example(before="[evil.net]", between=".", after="/")
def test_no_referrer_of_another_host_passes(before: str, between: str, after: str):
    """As browsers read a URL: what begins after the scheme ends with the first of `/ ? #`, and a user before `@`."""
    text = f"https://{before}{between}.example.com{after}"
    key = ApiKey(DIGEST, referrers=("https://*.example.com",))
    if refusal(key, page(text)) is None:
        host = re.split(r"[/?#]", text.removeprefix("https://"), maxsplit=1)[0]
        assert re.fullmatch(r"[A-Za-z0-9._-]+", host)
        assert host.lower().endswith(".example.com")


@given(st.text(max_size=60))
def test_a_moment_is_one_or_is_refused(text: str):
    with contextlib.suppress(ValueError):
        assert isinstance(moment(text), float)
