"""Keys that the gateway makes, and their digests."""

from __future__ import annotations

import re
from hashlib import sha256

import pytest

from gateway.identity.api_keys import ApiKeys, create, mistyped
from gateway.model import Application


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


def test_a_key_finds_its_application_always_as_the_same_object():
    mine, other = create(), create()
    keys = ApiKeys([Application(name="mobile", plans=(), api_keys=(mine.digest, other.digest))])
    found = keys.find(mine.key.encode())
    assert found is not None
    assert (found.application, found.client_id, found.proof) == ("mobile", None, ("api_key",))
    assert found is keys.find(mine.key.encode())
    assert found is not keys.find(other.key.encode())


def test_a_subject_of_a_key_cannot_be_taken_for_a_users():
    key = create()
    found = ApiKeys([Application(name="mobile", plans=(), api_keys=(key.digest,))]).find(key.key.encode())
    assert found is not None
    assert found.subject == "application:mobile"


def test_keys_made_elsewhere_serve_by_their_digest():
    digest = "sha256:" + sha256(b"legacy").hexdigest()
    keys = ApiKeys([Application(name="mobile", plans=(), api_keys=(digest,))])
    assert keys.find(b"legacy") is not None
    assert keys.find(b"Legacy") is None
    assert keys.find(b"") is None


@pytest.mark.parametrize("digest", ["", "sha256:", "sha256:zz", "sha256:00", "md5:" + "00" * 32, "00" * 32])
def test_a_bad_digest_is_an_error(digest):
    with pytest.raises(ValueError, match="application mobile: an API key's digest is not sha256: and 64 hex digits"):
        ApiKeys([Application(name="mobile", plans=(), api_keys=(digest,))])


def test_a_key_pasted_for_its_digest_is_not_repeated():
    key = create().key
    with pytest.raises(ValueError, match="digest") as caught:
        ApiKeys([Application(name="mobile", plans=(), api_keys=(key,))])
    assert key not in str(caught.value)


def test_two_applications_cannot_share_a_key():
    digest = create().digest
    with pytest.raises(ValueError, match="application b: an API key is given twice"):
        ApiKeys(Application(name=name, plans=(), api_keys=(digest,)) for name in "ab")
