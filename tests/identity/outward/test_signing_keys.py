"""The keys that sign the gateway's own tokens: by the calendar, known before they sign."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jwt
import pytest

from gateway.identity.outward.signing_keys import SigningKeys

DAY = 86_400
NOW = 1_800_000_000.0 // DAY * DAY + 3600


class Clock:
    now = NOW

    def __call__(self) -> float:
        return self.now


def kids(keys: SigningKeys) -> list[str]:
    return [jwk["kid"] for jwk in keys.public()]


def test_a_key_is_published_before_it_signs_and_after(tmp_path: Path) -> None:
    clock = Clock()
    keys = SigningKeys(tmp_path / "signing", DAY, clock)
    first = keys.current().kid
    assert kids(keys)[0] == first
    coming = kids(keys)[1]
    clock.now += DAY
    assert keys.current().kid == coming
    assert kids(keys)[:2] == [first, coming]
    assert len(kids(keys)) == 3
    clock.now += DAY
    assert first not in kids(keys)
    assert keys.current().kid not in (first, coming)


def test_processes_agree_whoever_is_first(tmp_path: Path) -> None:
    def made(_: int) -> list[str]:
        return kids(SigningKeys(tmp_path / "signing", DAY, Clock()))

    with ThreadPoolExecutor(8) as pool:
        assert len({tuple(found) for found in pool.map(made, range(8))}) == 1
    assert sorted(path.suffix for path in (tmp_path / "signing").iterdir()) == [".pem", ".pem"]


def test_private_keys_are_their_owners_alone(tmp_path: Path) -> None:
    SigningKeys(tmp_path / "signing", DAY, Clock()).current()
    folder = tmp_path / "signing"
    assert [path.stat().st_mode & 0o777 for path in (folder, *folder.iterdir())] == [0o700, 0o600, 0o600]


def test_another_rotation_keeps_publishing_what_signed_before(tmp_path: Path) -> None:
    folder, clock = tmp_path / "signing", Clock()
    before = SigningKeys(folder, DAY, clock).current().kid
    assert before in kids(SigningKeys(folder, 7 * DAY, clock))


def test_what_is_published_verifies_and_holds_no_secret(tmp_path: Path) -> None:
    keys = SigningKeys(tmp_path, DAY, Clock())
    token = jwt.encode({"a": 1}, keys.current().private, "ES256")
    jwk = keys.public()[0]
    assert jwk.keys() == {"kty", "crv", "x", "y", "kid", "use", "alg"}
    assert jwt.decode(token, jwt.PyJWK(dict(jwk)), algorithms=["ES256"]) == {"a": 1}


@pytest.mark.parametrize("content", [b"", b"rubbish"])
def test_an_unusable_file_is_an_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / f"{int(NOW) // DAY * DAY}.pem").write_bytes(content)
    with pytest.raises(OSError, match="it holds no key of the curve P-256"):
        SigningKeys(tmp_path, DAY, Clock()).current()


def test_other_files_are_left_alone(tmp_path: Path) -> None:
    for name in ("notes.txt", "old.pem"):
        (tmp_path / name).write_text("mine")
    SigningKeys(tmp_path, DAY, Clock()).current()
    assert (tmp_path / "old.pem").read_text() == "mine"


def test_a_folder_that_cannot_be_written_any_more_keeps_the_key_that_signs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    keys = SigningKeys(tmp_path, DAY, clock)
    first = keys.current().kid
    made = keys._made

    def full(moment: int) -> None:
        raise OSError(28, "No space left on device", str(tmp_path / f"{moment}.pem"))

    monkeypatch.setattr(keys, "_made", full)
    clock.now += DAY
    assert [keys.current().kid for _ in range(3)] == [first] * 3
    assert len(caplog.records) == 1
    assert "No space left" in caplog.text
    monkeypatch.setattr(keys, "_made", made)
    clock.now += 60
    assert keys.current().kid != first
