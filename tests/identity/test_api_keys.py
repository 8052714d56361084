"""Keys that the gateway makes, and their digests."""

from __future__ import annotations

import re
from hashlib import sha256

import pytest

from gateway.identity.api_keys import ApiKeys, create, mistyped
from gateway.identity.revocations import NoMarks
from gateway.model import ApiKey, Application


def keys_of(*digests: str) -> ApiKeys:
    """Of one application."""
    application = Application(name="mobile", plans=(), api_keys=tuple(map(ApiKey, digests)))
    return ApiKeys([application], NoMarks())


def test_a_new_key_has_a_prefix_randomness_and_a_checksum():
    new = create()
    assert re.fullmatch(r"gwk_[0-9A-Za-z]{49}", new.key)
    assert new.digest == "sha256:" + sha256(new.key.encode()).hexdigest()
    assert new.key != create().key
    assert not mistyped(new.key.encode())


def test_a_key_that_was_mistyped_or_cut_off_is_told_from_others():
    key = create().key.encode()
    swapped = key[:10] + (b"a" if key[10:11] != b"a" else b"b") + key[11:]
    assert [mistyped(text) for text in (swapped, key[:-1], key + b"0", b"gwk_")] == [True] * 4
    assert not mistyped(b"a key made elsewhere")


def test_a_tag_is_part_of_the_key_and_of_its_checksum():
    key = create("test").key
    assert re.fullmatch(r"gwk_test_[0-9A-Za-z]{49}", key)
    assert not mistyped(key.encode())
    assert [mistyped(text.encode()) for text in (key.replace("test", "live"), key[:-1], "gwk_" + "x" * 500)] == 3 * [
        True
    ]


def test_a_key_finds_its_application_always_as_the_same_object():
    mine, other = create(), create()
    keys = ApiKeys(
        [Application(name="mobile", plans=(), api_keys=(ApiKey(mine.digest), ApiKey(other.digest)))], NoMarks()
    )
    found = keys.find(mine.key.encode())
    assert found is not None
    assert (found.identity.application, found.identity.client_id) == ("mobile", None)
    assert found.identity.proof == (f"api_key:{mine.digest[7:19]}",)
    again, another = keys.find(mine.key.encode()), keys.find(other.key.encode())
    assert again is not None and another is not None
    assert found.identity is again.identity
    assert found.identity is not another.identity


def test_a_subject_of_a_key_cannot_be_taken_for_a_users():
    key = create()
    found = ApiKeys([Application(name="mobile", plans=(), api_keys=(ApiKey(key.digest),))], NoMarks()).find(
        key.key.encode()
    )
    assert found is not None
    assert found.identity.subject == "application:mobile"


def test_keys_made_elsewhere_serve_by_their_digest():
    digest = "sha256:" + sha256(b"legacy").hexdigest()
    keys = keys_of(digest)
    assert keys.find(b"legacy") is not None
    assert keys.find(b"Legacy") is None
    assert keys.find(b"") is None


@pytest.mark.parametrize("digest", ["", "sha256:", "sha256:zz", "sha256:00", "md5:" + "00" * 32, "00" * 32])
def test_a_bad_digest_is_an_error(digest):
    with pytest.raises(ValueError, match="application mobile: an API key's digest is not sha256: and 64 hex digits"):
        keys_of(digest)


def test_a_key_pasted_for_its_digest_is_not_repeated():
    key = create().key
    with pytest.raises(ValueError, match="digest") as caught:
        keys_of(key)
    assert key not in str(caught.value)


def test_two_applications_cannot_share_a_key():
    digest = create().digest
    with pytest.raises(ValueError, match="application b: an API key is given twice"):
        ApiKeys([Application(name=name, plans=(), api_keys=(ApiKey(digest),)) for name in "ab"], NoMarks())
