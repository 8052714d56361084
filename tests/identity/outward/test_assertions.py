"""The gateway's own tokens."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jwt

from gateway.identity.outward import assertions
from gateway.identity.outward.assertions import Assertions
from gateway.identity.outward.signing_keys import SigningKeys
from gateway.model import Application, Identity, Plan

NOW = 1_800_000_000.0
MOBILE = Application(name="mobile", plans=("gold",), account="acme")
GOLD, FREE = Plan(name="gold", services=("orders",)), Plan(name="free", services=("orders",))
ALICE = Identity(subject="alice", client_id="mobile-app")


class Clock:
    now = NOW

    def __call__(self) -> float:
        return self.now


def vouching(folder: Path, clock: Clock, **more: Any) -> tuple[Assertions, SigningKeys]:
    keys = SigningKeys(folder, 86_400, clock)
    return Assertions(keys, "https://gateway.example.com", "orders", clock, **more), keys


def claims(value: bytes, keys: SigningKeys) -> dict[str, Any]:
    kid = jwt.get_unverified_header(value)["kid"]
    key = next(jwt.PyJWK(dict(jwk)) for jwk in keys.public() if jwk["kid"] == kid)
    read: dict[str, Any] = jwt.decode(
        value, key, algorithms=["ES256"], audience="orders", options={"verify_exp": False, "verify_iat": False}
    )
    return read


def test_a_token_tells_who_asks_by_which_plan_for_one_minute(tmp_path: Path) -> None:
    vouch, keys = vouching(tmp_path, Clock())
    assert claims(vouch.vouch(None, ALICE, MOBILE, GOLD, print), keys) == {
        "iss": "https://gateway.example.com",
        "aud": "orders",
        "sub": "alice",
        "azp": "mobile-app",
        "application": "mobile",
        "plan": "gold",
        "account": "acme",
        "iat": int(NOW),
        "exp": int(NOW) + 60,
    }


def test_what_is_not_known_is_not_told(tmp_path: Path) -> None:
    vouch, keys = vouching(tmp_path, Clock())
    nobody = Identity(subject="", application="visitors")
    told = claims(vouch.vouch(None, nobody, Application(name="visitors", plans=()), FREE, print), keys)
    assert told.keys() == {"iss", "aud", "application", "plan", "iat", "exp"}


def test_one_is_used_again_while_it_is_fresh(tmp_path: Path) -> None:
    clock = Clock()
    vouch, keys = vouching(tmp_path, clock, scheme=b"Bearer ")
    first = vouch.vouch(None, ALICE, MOBILE, GOLD, print)
    assert first.startswith(b"Bearer ey")
    clock.now += 29
    assert vouch.vouch(None, ALICE, MOBILE, GOLD, print) is first
    assert vouch.vouch(None, ALICE, MOBILE, FREE, print) != first
    assert vouch.vouch(None, Identity(subject="bob"), MOBILE, GOLD, print) != first
    clock.now += 1
    second = vouch.vouch(None, ALICE, MOBILE, GOLD, print)
    assert claims(second.removeprefix(b"Bearer "), keys)["exp"] == int(NOW) + 90
    clock.now -= 3600  # a clock that is set back makes none live longer
    assert claims(vouch.vouch(None, ALICE, MOBILE, GOLD, print).removeprefix(b"Bearer "), keys)["exp"] < NOW


def test_they_are_remembered_within_bounds(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(assertions, "REMEMBERED", 2)
    vouch, _ = vouching(tmp_path, Clock())
    people = [Identity(subject=name) for name in "abc"]
    first = [vouch.vouch(None, person, MOBILE, GOLD, print) for person in people]
    again = [vouch.vouch(None, person, MOBILE, GOLD, print) for person in reversed(people)]
    assert [one is other for one, other in zip(first, reversed(again), strict=True)] == [False, True, True]
