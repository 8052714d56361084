"""Marks: what one process sets all know, and what becomes of them when the store forgets, hangs or is away."""

from __future__ import annotations

import random
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, closing
from pathlib import Path

import pytest
from rigs.clusters import ClusterRig
from rigs.shared import lines, marks, prefixes
from rigs.stores import Server, binary_of
from rigs.waiting import until

from gateway.model import Store
from gateway.store import StoreAway, StoreError
from gateway.store.embedded import EmbeddedStore
from gateway.store.marks import DAY, MICRO, Mark, MemoryMarks, Row
from gateway.store.store_marks import Seen, StoreMarks

Known = dict[tuple[str, str], str]


def known(some: StoreMarks | MemoryMarks) -> Known:
    return {where: row.value for where, row in some.rows.items() if row.value is not None}


@pytest.fixture(params=["redis", "valkey"])
def forgetful(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    """A server without persistence, which a test may hurt."""
    server = Server(binary_of(request.param), tmp_path).start()
    yield server
    server.resume()
    server.close()


@pytest.fixture
async def several(forgetful: Server) -> AsyncIterator[list[StoreMarks]]:
    """Three processes."""
    async with AsyncExitStack() as stack:
        store = Store(kind="url", url=forgetful.url)
        yield [await stack.enter_async_context(marks(store, 0.5)) for _ in range(3)]


pytestmark = pytest.mark.redis


async def test_what_one_sets_all_know_at_their_next_look(several: list[StoreMarks]) -> None:
    one, other, third = several
    before = other.version
    heard: list[tuple[str, str, Mark | None]] = []
    other.watch(lambda *change: heard.append(change))
    mark = await one.set("revoked_key", "ä/1", "leaked", until=time.time() + 60)
    assert one.get("revoked_key", "ä/1") == mark  # at once
    assert mark.since == pytest.approx(time.time(), abs=1)
    assert other.get("revoked_key", "ä/1") is None
    assert await other.look()
    assert other.get("revoked_key", "ä/1") == mark
    assert other.version == before + 1
    assert heard == [("revoked_key", "ä/1", mark)]
    await other.look()
    assert other.version == before + 1
    await third.clear("revoked_key", "ä/1")
    await third.set("suspended", "mobile")
    await other.look()
    assert (other.get("revoked_key", "ä/1"), other.get("suspended", "mobile")) == (
        None,
        third.get("suspended", "mobile"),
    )
    assert heard[1] == ("revoked_key", "ä/1", None)
    assert other.listed("suspended").keys() == {"mobile"}


async def test_the_later_of_two_holds(several: list[StoreMarks]) -> None:
    for number in range(30):
        await random.choice(several).set("epoch", "realm", str(number))
    for some in several:
        await some.look()
        assert some.listed("epoch").keys() == {"realm"}
        assert some.get("epoch", "realm").value == "29"


async def test_a_mark_ends_by_its_time_and_is_forgotten(several: list[StoreMarks], forgetful: Server) -> None:
    one, other, _ = several
    await one.set("revoked", "a", until=time.time() + 0.05)
    await other.look()
    await until(lambda: other.get("revoked", "a") is None)
    assert other.listed("revoked") == {}
    await one.set("revoked", "b")
    assert forgetful.ask("HKEYS", "gw:{~marks}:facts") == ["", "revoked b"]
    other.sweep()
    assert known(other) == {}


async def test_a_store_that_was_killed_without_its_data_is_told_again(
    several: list[StoreMarks], forgetful: Server
) -> None:
    one, other, third = several
    await one.set("revoked", "a")
    await one.set("revoked", "b")
    await one.clear("revoked", "b")
    await one.set("revoked", "c")
    await other.look()
    forgetful.restart()
    await third.look()  # who knew of nothing does not hide it
    assert known(third) == {}
    for some in several:
        await until(some.look)
    await third.look()
    assert known(third) == {("revoked", "a"): "", ("revoked", "c"): ""}
    await third.set("revoked", "a", "again")
    await one.look()
    assert one.get("revoked", "a").value == "again"
    async with marks(Store(kind="url", url=forgetful.url)) as newcomer:
        assert known(newcomer) == known(one)


async def test_what_was_set_while_the_loss_was_not_noticed_hides_nothing(
    several: list[StoreMarks], forgetful: Server
) -> None:
    one, other, third = several
    await one.set("revoked", "a")
    await third.look()
    forgetful.ask("FLUSHALL")  # the same server, so nothing else tells
    await other.set("revoked", "b")
    for some in (one, third, other):
        await some.look()
        assert known(some) == {("revoked", "a"): "", ("revoked", "b"): ""}


async def test_a_store_set_back_to_an_older_copy_is_told_what_came_since(
    several: list[StoreMarks], forgetful: Server
) -> None:
    one, other, _ = several
    await one.set("revoked", "a")
    await one.set("suspended", "mobile")
    names = [f"gw:{{~marks}}:{part}" for part in ("facts", "order")]
    with forgetful.client() as redis:
        redis.connection_pool.connection_kwargs["decode_responses"] = False
        copies = {name: redis.dump(name) for name in names}
        await one.set("revoked", "b")
        await one.clear("suspended", "mobile")
        await one.look()
        for name, copy in copies.items():
            redis.restore(name, 0, copy, replace=True)
    await one.look()
    await other.look()
    assert known(other) == {("revoked", "a"): "", ("revoked", "b"): ""}


async def test_who_was_away_for_days_brings_nothing_back(several: list[StoreMarks], forgetful: Server) -> None:
    """What was cleared in the meantime, and of which the store has no trace any more, stays cleared."""
    one = several[0]
    await one.set("suspended", "mobile")
    await one.look()
    then = one.seen
    await one.set("suspended", "shop")
    old = int((time.time() - 2 * DAY) * MICRO)
    async with lines(Store(kind="url", url=forgetful.url)) as some:
        other = StoreMarks(some, "gw", time.time)
        other.remember(then, [Row("suspended", "web", old, "", None)])
        assert other.get("suspended", "web") is not None
        await other.look()
        await one.look()
        assert known(one) == known(other) == {("suspended", "mobile"): "", ("suspended", "shop"): ""}


async def test_while_the_store_is_away_the_last_known_hold(several: list[StoreMarks], forgetful: Server) -> None:
    one, other, _ = several
    await one.set("revoked", "a")
    await other.look()
    forgetful.pause()
    assert not await other.look()
    with pytest.raises(StoreAway):
        await one.set("revoked", "b")
    assert [some.get("revoked", "a") is not None for some in (one, other)] == [True, True]
    forgetful.resume()
    await until(other.look)
    await until(lambda: settled(one))


async def settled(one: StoreMarks) -> bool:
    try:
        await one.set("revoked", "b")
    except StoreAway:
        return False
    return True


async def test_who_has_heard_of_none_says_so(tmp_path: Path) -> None:
    server = Server(binary_of("redis"), tmp_path)
    async with marks(Store(kind="url", url=server.url), 0.2) as one:
        assert not one.known
        server.start()
        await until(one.look)
        assert one.known
    server.close()


async def test_rubbish_in_the_store_is_left_out(several: list[StoreMarks], forgetful: Server) -> None:
    one, other, _ = several
    await one.set("revoked", "a")
    for name, text in (
        ("revoked b", "x"),
        ("revoked c", "1 [1]"),
        ("revoked d", '1 ["", "x"]'),
        ("revoked e", "1 [5, null]"),
    ):
        forgetful.ask("HSET", "gw:{~marks}:facts", name, text)
        forgetful.ask("ZADD", "gw:{~marks}:order", 9e15, name)
    assert await other.look()
    assert known(other) == {("revoked", "a"): ""}


async def test_there_is_an_end_to_how_many_there_may_be(
    several: list[StoreMarks], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.store.store_marks.MOST", 3)
    for number in range(3):
        await several[0].set("revoked", str(number))
    await several[0].set("revoked", "2", "once more")
    with pytest.raises(StoreError, match="FULL there are 3 marks"):
        await several[1].set("revoked", "3")


async def test_thousands_are_told_again(several: list[StoreMarks], forgetful: Server) -> None:
    one, other, _ = several
    now = int(time.time() * MICRO)
    one.apply([Row("revoked", str(number), now + number, "", None) for number in range(5_000)])
    one.remember(Seen(now, now, 5_000), [])
    await one.look()
    await other.look()
    assert len(known(other)) == 5_000


async def test_random_losses_in_random_order_end_in_agreement(forgetful: Server) -> None:
    """Whatever is set, cleared, lost and cut off: in the end all know the last that was done to each name."""
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    store = Store(kind="url", url=forgetful.url, prefix=next(prefixes))
    async with AsyncExitStack() as stack:
        several = [await stack.enter_async_context(marks(store)) for _ in range(4)]
        last: dict[str, str | None] = {}
        for step in range(250):
            some, name = chance.choice(several), f"n{chance.randrange(6)}"
            match chance.randrange(10):
                case 0:
                    forgetful.ask("FLUSHALL")
                    await several[0].look()  # one of those who know all is always there
                case 1 | 2:
                    await some.clear("kind", name)
                    last[name] = None
                    await several[0].look()
                case 3 | 4 | 5:
                    await some.set("kind", name, str(step))
                    last[name] = str(step)
                    await several[0].look()
                case _:
                    await some.look()
        for some in [*several, *several]:
            await some.look()
        expected = {("kind", name): value for name, value in last.items() if value is not None}
        assert [known(some) for some in several] == [expected] * 4, seed


async def test_marks_outlive_a_kill_of_the_embedded_store(tmp_path: Path) -> None:
    embedded = EmbeddedStore(tmp_path)
    store = Store(kind="embedded", url=embedded.start())
    async with marks(store) as one:
        await one.set("revoked", "a")
        assert embedded._process is not None
        embedded._process.kill()
        embedded._process.wait()
        embedded.start()
    async with marks(store) as newcomer:
        assert known(newcomer) == {("revoked", "a"): ""}
    embedded.stop()


async def test_they_go_through_a_failover_of_a_cluster(tmp_path: Path) -> None:
    with closing(ClusterRig(tmp_path, replicas=1)) as cluster:
        store = cluster.start().store()
        async with marks(store) as one, marks(store) as other:
            await one.set("revoked", "a")
            cluster.fail_over(cluster.owner("~marks"))
            await until(other.look)
            assert known(other) == {("revoked", "a"): ""}
            await other.set("revoked", "b")
            await one.look()
            assert len(known(one)) == 2
