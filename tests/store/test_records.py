"""Records: one contract for every store, and what becomes of them when a store fails."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from rigs.clusters import ClusterRig
from rigs.sentinels import SentinelRig
from rigs.shared import prefixes, records
from rigs.stores import Server, TcpServer, binary_of
from rigs.waiting import until

from gateway.model import Store
from gateway.store import StoreAway, StoreError
from gateway.store.embedded import EmbeddedStore
from gateway.store.memory_records import SWEEP, MemoryRecords
from gateway.store.records import LARGEST, Records, Use
from gateway.store.slots import slot

KINDS = [
    "memory",
    *(pytest.param(kind, marks=pytest.mark.redis) for kind in ("redis", "valkey", "embedded", "sentinel", "cluster")),
]
SOON = 0.05  # seconds of a life that ends in the test


@pytest.fixture(scope="module")
def sentinels(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SentinelRig]:
    rig = SentinelRig(tmp_path_factory.mktemp("sentinel"))
    try:
        yield rig.start()
    finally:
        rig.close()


@pytest.fixture(scope="module")
def primaries(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterRig]:
    rig = ClusterRig(tmp_path_factory.mktemp("cluster"), kind="valkey", replicas=1)
    try:
        yield rig.start()
    finally:
        rig.close()


@pytest.fixture(scope="module", params=KINDS)
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A store of each kind."""
    match request.param:
        case "memory":
            yield Store(kind="memory")
        case "embedded":
            embedded = EmbeddedStore(tmp_path_factory.mktemp("embedded"))
            yield Store(kind="embedded", url=embedded.start())
            embedded.stop()
        case "sentinel":
            yield request.getfixturevalue("sentinels").store()
        case "cluster":
            yield request.getfixturevalue("primaries").store()
        case kind:
            server = Server(binary_of(kind), tmp_path_factory.mktemp(kind)).start()
            yield Store(kind="url", url=server.url)
            server.close()


@pytest.fixture
async def shared(store: Store) -> AsyncIterator[Records]:
    """The records of one process, under a fresh prefix; a new store has ended its fence."""
    async with records(replace(store, prefix=next(prefixes), fence=0.0)) as found:
        yield found


# --- the contract


async def test_a_record_is_read_until_its_life_ends(shared: Records) -> None:
    assert await shared.get("session", "a") is None
    assert await shared.put("session", "a", b"\x00who\xff", 60)
    assert await shared.get("session", "a") == b"\x00who\xff"
    assert await shared.put("session", "a", b"other", SOON)
    await until(lambda: gone(shared, "a"))


async def gone(shared: Records, name: str) -> bool:
    return await shared.get("session", name) is None


async def test_kinds_and_names_keep_apart_whatever_is_in_them(shared: Records) -> None:
    names = ["a", "a:b", "{a}", "a*", "ä", "~a", "a/b", " ", "x" * 5000, "x" * 5001]
    for name in names:
        await shared.put("session", name, name.encode(), 60)
    await shared.put("other", "a", b"other", 60)
    assert [await shared.get("session", name) for name in names] == [name.encode() for name in names]
    scanned = {name async for name in shared.scan("session")}
    assert {name for name in names if len(name) < 200} == {name for name in scanned if len(name) < 200}
    assert [name async for name in shared.scan("other")] == ["a"]


async def test_only_one_of_many_writes_what_must_be_new(shared: Records) -> None:
    puts = [shared.put("lock", "a", str(number).encode(), 60, only_new=True) for number in range(20)]
    written = await asyncio.gather(*puts)
    assert written.count(True) == 1
    assert await shared.get("lock", "a") == str(written.index(True)).encode()


async def test_a_lock_is_free_when_its_life_ends(shared: Records) -> None:
    assert await shared.put("lock", "a", b"1", SOON, only_new=True)
    await until(lambda: shared.put("lock", "a", b"2", 60, only_new=True))


async def test_a_record_is_swapped_if_nobody_was_faster(shared: Records) -> None:
    assert not await shared.swap("session", "a", b"1", b"2", 60)
    await shared.put("session", "a", b"1", 60)
    swaps = [shared.swap("session", "a", b"1", str(number).encode(), 60) for number in range(2, 20)]
    assert (await asyncio.gather(*swaps)).count(True) == 1
    assert await shared.get("session", "a") != b"1"


async def test_a_record_is_taken_once(shared: Records) -> None:
    await shared.put("state", "a", b"1", 60)
    taken = await asyncio.gather(*(shared.take("state", "a") for _ in range(20)))
    assert sorted(taken, key=bool) == [*[None] * 19, b"1"]


async def test_a_record_is_dropped(shared: Records) -> None:
    await shared.put("session", "a", b"1", 60)
    assert [await shared.drop("session", "a") for _ in range(2)] == [True, False]
    assert await shared.get("session", "a") is None


async def test_what_may_be_used_once_is_used_once(shared: Records) -> None:
    now = time.time() + 1
    used = await asyncio.gather(*(shared.once("proof", "jti", 60, made=now) for _ in range(20)))
    assert sorted(used) == [*[Use.AGAIN] * 19, Use.FIRST]
    assert await shared.once("proof", "other", 60, made=now) is Use.FIRST


async def test_what_is_older_than_the_memory_of_the_store_may_have_been_used(shared: Records) -> None:
    await shared.once("proof", "new", 60, made=time.time() + 1)  # its memory begins by now
    assert await shared.once("proof", "old", 60, made=time.time() - 3600) is Use.UNKNOWN
    assert await shared.once("proof", "old", 60, made=time.time() - 3600) is Use.AGAIN


async def test_the_records_of_an_owner_are_listed_until_they_end(shared: Records) -> None:
    for name, seconds in (("late", 60.0), ("soon", 30.0), ("gone", SOON), ("out", 40.0)):
        await shared.index("session", "jürgen", name, seconds)
    await shared.index("session", "jürgen", "late", 5)  # it does not end earlier for that
    await shared.index("session", "other", "a", 60)
    await shared.unindex("session", "jürgen", "out")
    await shared.unindex("session", "nobody", "a")

    async def listed() -> bool:
        return await shared.listed("session", "jürgen") == ["soon", "late"]

    await until(listed)
    assert await shared.listed("session", "nobody") == []


async def test_what_is_out_of_range_is_refused(shared: Records) -> None:
    for seconds in (0, -1, 1e12, float("nan")):
        with pytest.raises(ValueError, match="a record lives from"):
            await shared.put("session", "a", b"", seconds)
    with pytest.raises(ValueError, match="at most 1048576 bytes, not 1048577"):
        await shared.put("session", "a", b"x" * (LARGEST + 1), 60)


async def test_memory_lets_go_of_what_has_ended() -> None:
    now = 1000.0
    memory = MemoryRecords(lambda: now)
    for number in range(SWEEP):
        await memory.put("state", str(number), b"", 10)
    await memory.index("state", "owner", "1", 10)
    now += 10
    await memory.put("state", "a", b"", 10)
    assert len(memory._records) == 1
    assert memory._owned == {}


# --- faults


@pytest.mark.redis
async def test_a_store_that_keeps_its_data_loses_no_record_when_it_is_killed(server: TcpServer) -> None:
    async with records(Store(kind="url", url=server.url, fence=0.0)) as shared:
        await shared.put("session", "a", b"1", 60)
        server.restart()
        assert await shared.get("session", "a") == b"1"


@pytest.fixture
def forgetful(tmp_path: Path) -> Iterator[Server]:
    """A server without persistence, which a test may hurt."""
    server = Server(binary_of("redis"), tmp_path).start()
    yield server
    server.resume()
    server.close()


@pytest.mark.redis
async def test_what_was_used_once_is_not_used_again_after_the_store_has_forgotten(forgetful: Server) -> None:
    store = Store(kind="url", url=forgetful.url, fence=0.5)
    async with records(store) as shared:
        made = time.time()
        with pytest.raises(StoreAway, match="waits for what processes remember"):  # new, or empty by a loss
            await shared.once("proof", "a", 60, made=made)
        await asyncio.sleep(0.6)
        assert await shared.once("proof", "a", 60, made=time.time()) is Use.FIRST
        forgetful.restart()
        await asyncio.sleep(0.05)  # the loop hears of the closed connection
        with pytest.raises(StoreAway, match="waits for what processes remember"):
            await shared.once("proof", "a", 60, made=made)
        await asyncio.sleep(0.6)
        assert await shared.once("proof", "a", 60, made=made) is Use.UNKNOWN
        assert await shared.once("proof", "b", 60, made=time.time()) is Use.FIRST


@pytest.mark.redis
async def test_a_store_that_hangs_is_waited_for_by_one_at_a_time(forgetful: Server) -> None:
    async with records(Store(kind="url", url=forgetful.url), patience=0.4) as shared:
        await shared.put("session", "a", b"1", 60)
        forgetful.pause()
        with pytest.raises(StoreAway):
            await shared.get("session", "a")
        began = time.monotonic()
        for _ in range(20):
            with pytest.raises(StoreAway, match="did not answer a moment ago"):
                await shared.get("session", "a")
        assert time.monotonic() - began < 0.2
        forgetful.resume()
        await until(lambda: found(shared, "a"))


async def found(shared: Records, name: str) -> bool:
    try:
        return await shared.get("session", name) is not None
    except StoreAway:
        return False


@pytest.mark.redis
async def test_a_store_that_is_away_is_no_answer(forgetful: Server) -> None:
    async with records(Store(kind="url", url=forgetful.url), patience=0.3) as shared:
        forgetful.kill()
        for work in (shared.get("s", "a"), shared.take("s", "a"), shared.listed("s", "a")):
            with pytest.raises(StoreAway):
                await work
        forgetful.start()
        await until(lambda: away_no_more(shared))


async def away_no_more(shared: Records) -> bool:
    try:
        return await shared.get("session", "a") is None
    except StoreAway:
        return False


@pytest.mark.redis
async def test_what_too_few_replicas_have_is_not_relied_on(forgetful: Server) -> None:
    store = Store(kind="url", url=forgetful.url, wait=1)
    async with records(store, patience=0.3) as shared:
        with pytest.raises(StoreAway, match="fewer than 1 replicas"):
            await shared.put("session", "a", b"1", 60)
        assert not await found_none(shared)


async def found_none(shared: Records) -> bool:
    await asyncio.sleep(0.3)
    return await shared.get("session", "a") is None


@pytest.mark.redis
async def test_what_is_forbidden_is_told(forgetful: Server) -> None:
    forgetful.ask("ACL", "SETUSER", "default", "-getdel")
    async with records(Store(kind="url", url=forgetful.url)) as shared:
        with pytest.raises(StoreError, match=r"getdel.*give its user the rights") as error:
            await shared.take("session", "a")
        assert not isinstance(error.value, StoreAway)


@pytest.mark.redis
async def test_records_are_found_after_a_failover_and_where_their_slot_has_moved(primaries: ClusterRig) -> None:
    async with records(primaries.store(prefix=next(prefixes))) as shared:
        await shared.put("session", "mobile", b"1", 60)
        primaries.fail_over(primaries.owner("mobile"))
        assert await shared.get("session", "mobile") == b"1"
        owner = primaries.owner("mobile")
        other = next(server for server in primaries.servers if server.is_primary() and server is not owner)
        primaries.move_slot(slot("mobile"), other)
        assert await shared.take("session", "mobile") == b"1"


@pytest.mark.redis
async def test_a_failover_behind_sentinels_loses_no_record(sentinels: SentinelRig) -> None:
    async with records(sentinels.store(prefix=next(prefixes)), patience=20) as shared:
        await shared.put("session", "a", b"1", 60)
        sentinels.kill_primary()
        assert await shared.get("session", "a") == b"1"
