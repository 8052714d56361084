"""Keys of several gateways, published by each."""

from __future__ import annotations

import json
from pathlib import Path

from gateway.identity.outward.board import KIND, OWNER, Board
from gateway.identity.outward.signing_keys import SigningKeys
from gateway.store import StoreAway
from gateway.store.memory_records import MemoryRecords

NOW = 1_800_000_000.0
DAY = 86_400


class Clock:
    now = NOW

    def __call__(self) -> float:
        return self.now


class AwayRecords(MemoryRecords):
    """Of a store that may be away."""

    away = False

    async def listed(self, kind: str, owner: str) -> list[str]:
        if self.away:
            raise StoreAway("it does not answer")
        return await super().listed(kind, owner)


def gateway(folder: Path, records: MemoryRecords, clock: Clock) -> tuple[SigningKeys, Board]:
    keys = SigningKeys(folder, DAY, clock)
    return keys, Board(keys, records, DAY, clock)


def kids(jwks: list[dict[str, str]]) -> list[str]:
    return [jwk["kid"] for jwk in jwks]


async def test_each_publishes_the_keys_of_all(tmp_path: Path) -> None:
    clock = Clock()
    records = MemoryRecords(clock)
    (first, one), (second, two) = (gateway(tmp_path / name, records, clock) for name in "ab")
    await one.tell()
    await two.tell()
    own = kids(first.public())
    assert kids(await one.keys())[:2] == own
    assert set(kids(await one.keys())) == set(kids(await two.keys())) == {*own, *kids(second.public())}
    assert all(jwk.keys() == {"kty", "crv", "x", "y", "kid", "use", "alg"} for jwk in await one.keys())


async def test_what_the_store_said_is_used_for_a_moment_and_while_it_is_away(tmp_path: Path) -> None:
    clock = Clock()
    records = AwayRecords(clock)
    (_, one), (_, two) = (gateway(tmp_path / name, records, clock) for name in "ab")
    assert len(await one.keys()) == 2
    await two.tell()
    assert len(await one.keys()) == 2
    clock.now += 6
    assert len(await one.keys()) == 4
    records.away = True
    clock.now += 6
    assert len(await one.keys()) == 4


async def test_the_keys_of_a_gateway_that_is_gone_end(tmp_path: Path) -> None:
    clock = Clock()
    records = MemoryRecords(clock)
    (_, one), (_, two) = (gateway(tmp_path / name, records, clock) for name in "ab")
    await two.tell()
    clock.now += 2 * DAY + 1
    assert kids(await one.keys()) == kids(one._keys.public())


async def test_what_is_no_key_is_not_published(tmp_path: Path) -> None:
    clock = Clock()
    records = MemoryRecords(clock)
    keys, board = gateway(tmp_path, records, clock)
    good = {**keys.public()[0], "kid": "other", "d": "private"}
    for name, value in (
        ("other", json.dumps(good)),
        ("a", "{}"),
        ("b", "rubbish"),
        ("c", json.dumps(good)),
        ("d", "[]"),
    ):
        await records.put(KIND, name, value.encode(), 60)
        await records.index(KIND, OWNER, name, 60)
    strange = [jwk for jwk in await board.keys() if jwk["kid"] not in kids(keys.public())]
    assert strange == [{name: value for name, value in good.items() if name != "d"}]
