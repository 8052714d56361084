"""Epochs: what a server says of itself, and what a process makes of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import count
from pathlib import Path

import pytest
from redis.asyncio import Redis
from redis.exceptions import ResponseError
from rigs.stores import Server, binary_of

from gateway.model import Store
from gateway.store.fence import GONE, Fence, Look
from gateway.store.topology import Node, topology

pytestmark = pytest.mark.redis

FENCED = 5.0  # seconds
FUTURE = 4_102_747_200.0  # in 2100: ahead of any server's clock

prefixes = (f"f{number}" for number in count())


@pytest.fixture(scope="module", params=["redis", "valkey"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(binary_of(request.param), tmp_path_factory.mktemp(request.param)).start()
    yield server
    server.kill()


class Process:
    """A process that looks; `run` is what it takes for the run id of the server."""

    def __init__(self, node: Node, prefix: str, name: str, durable: bool) -> None:
        self.fence = Fence(prefix, node, name, seconds=FENCED, durable=durable)
        self.node = node
        self.link = node.link()

    async def look(self, run: str = "r1", seen: float = 0.0) -> Look:
        await self.link.open(5)
        return await self.fence.look(self.link, run, seen, 5)

    async def learn(self, run: str = "r1", seen: float = 0.0) -> bool:
        """Whether the store may have forgotten what this process remembers."""
        return self.fence.learn(await self.look(run, seen), run)

    @property
    def knows(self) -> tuple[int, str]:
        return self.fence.epoch, self.fence.run


@pytest.fixture
async def process(server: Server) -> AsyncIterator[Callable[..., Process]]:
    """Makes processes that share a fresh prefix."""
    node = topology(Store(kind="url", url=server.url)).nodes[0]
    made: list[Process] = []
    prefix = next(prefixes)

    def make(name: str = "p", *, durable: bool = False) -> Process:
        made.append(Process(node, prefix, name, durable))
        return made[-1]

    yield make
    for process in made:
        await process.link.close()


@pytest.fixture
async def redis(server: Server) -> AsyncIterator[Redis]:
    async with Redis.from_url(server.url, decode_responses=True) as redis:
        yield redis


Make = Callable[..., Process]


async def test_a_store_without_a_record_is_fenced(process: Make) -> None:
    """It may be new, or have lost everything: nobody can tell."""
    one = process()
    look = await one.look()
    assert look.opens == pytest.approx(look.now + FENCED)
    assert look.epoch == pytest.approx(look.now * 1000, abs=1)  # so that no two stores have the same
    assert one.fence.learn(look, "r1") is False  # who comes to know it remembers nothing


async def test_a_new_store_of_our_own_is_open_at_once(process: Make) -> None:
    look = await process(durable=True).look()
    assert look.opens == look.now


async def test_the_same_run_goes_on_in_its_epoch(process: Make) -> None:
    one, other = process("p"), process("q")
    await one.learn()
    assert await one.learn() is False
    assert await other.learn() is False
    assert (one.knows, one.fence.opens) == (other.knows, other.fence.opens)


async def test_a_restart_begins_another_epoch_and_is_fenced(process: Make) -> None:
    one, other = process("p"), process("q")
    await one.learn("r1")
    await other.learn("r1")
    before = one.fence.epoch
    assert await one.learn("r2") is True
    assert one.fence.epoch > before
    assert one.fence.opens > 0
    assert one.fence.intact == frozenset()
    assert await other.learn("r2") is True
    assert one.knows == other.knows
    assert one.fence.opens == other.fence.opens  # the second to come does not close it again


async def test_a_restart_that_loses_nothing_goes_on_at_once(process: Make) -> None:
    one = process(durable=True)
    await one.learn("r1")
    before, opens = one.fence.epoch, one.fence.opens
    assert await one.learn("r2") is False
    assert (one.fence.epoch, one.fence.run, one.fence.opens) == (before, "r2", opens)


@pytest.mark.parametrize("durable", [False, True])
async def test_a_store_that_lost_its_record_lost_everything(process: Make, redis: Redis, durable: bool) -> None:
    one = process(durable=durable)
    await one.learn()
    before = one.fence.epoch
    await redis.flushall()
    look = await one.look()
    assert look.epoch > before
    assert look.opens == pytest.approx(look.now + FENCED)
    assert one.fence.learn(look, "r1") is True


async def test_a_later_loss_closes_the_fence_again(process: Make, redis: Redis) -> None:
    one = process()
    await one.learn(seen=FUTURE)
    await redis.delete(one.fence.key)
    await one.learn(seen=FUTURE + 4)
    assert one.fence.opens == FUTURE + 4 + FENCED


async def test_who_knows_a_later_epoch_than_the_store_begins_another(process: Make, redis: Redis) -> None:
    """It has gone back to a copy of itself. What belongs to the epoch of that copy is there; the later is lost."""
    one, other = process("p"), process("q")
    await one.learn("r1")
    await other.learn("r1")
    copy = await redis.get(one.fence.key)
    first = one.fence.epoch
    await redis.delete(one.fence.key)
    await one.learn("r1")
    later = one.fence.epoch
    await redis.set(one.fence.key, copy)
    assert await one.learn("r1") is True
    assert one.fence.epoch > later > first
    assert one.fence.intact == {first}
    assert await other.learn("r1") is False  # all that it remembers is there
    assert other.fence.epoch == one.fence.epoch


async def test_a_loss_ends_what_was_intact(process: Make, redis: Redis) -> None:
    one = process()
    await redis.set(one.fence.key, "20 r1 0 17,18,")
    await one.learn("r1")
    assert (one.fence.epoch, one.fence.intact) == (20, {17, 18})
    await one.learn("r2")
    assert one.fence.intact == frozenset()


async def test_the_record_goes_with_its_slot_and_the_run_is_witness(process: Make) -> None:
    """In a cluster a server's record has a tag of its slots. Where that moved, not the server, nothing is lost."""
    one, stranger = process("p"), process("q")
    await one.learn("r1")
    epoch = one.fence.epoch
    one.node.tag = "elsewhere"
    assert await one.learn("r1") is False
    assert one.fence.epoch == epoch
    assert await stranger.learn("r1") is False
    assert stranger.fence.epoch == epoch


async def test_a_server_of_another_run_has_no_witness(process: Make) -> None:
    one = process()
    await one.learn("r1")
    one.node.tag = "elsewhere"
    assert await one.learn("r2") is True


async def test_processes_are_counted_while_they_look(process: Make) -> None:
    one, other = process("p"), process("q")
    assert (await one.look(seen=FUTURE)).processes == 1
    assert (await other.look(seen=FUTURE + 1)).processes == 2
    assert (await other.look(seen=FUTURE + GONE)).processes == 2
    assert (await other.look(seen=FUTURE + GONE + 1)).processes == 1
    assert (await one.look(seen=FUTURE + GONE + 2)).processes == 2


async def test_a_look_changes_the_record_only_where_something_is_new(process: Make, redis: Redis) -> None:
    one = process()
    await one.learn()
    record = await redis.get(one.fence.key)
    assert record == f"{one.fence.epoch} r1 {one.fence.opens * 1_000_000:.0f} "
    await one.learn()
    assert await redis.get(one.fence.key) == record


async def test_a_record_that_is_none_is_left_as_it_is(process: Make, redis: Redis) -> None:
    one = process()
    await redis.set(one.fence.key, "rubbish")
    with pytest.raises(ResponseError, match="CORRUPT"):
        await one.look()
    assert await redis.get(one.fence.key) == "rubbish"


async def test_a_real_restart_has_another_run(tmp_path: Path) -> None:
    server = Server(binary_of("redis"), tmp_path, "--appendonly", "yes", "--appendfsync", "always").start()
    try:
        link = topology(Store(kind="url", url=server.url)).nodes[0].link()
        first = await link.open(5)
        assert await link.open(5) == first
        server.restart()
        await asyncio.sleep(0.05)  # the loop hears of the closed connection
        assert await link.open(5) != first
        await link.close()
    finally:
        server.close()


async def test_who_counts_in_another_protocol_learns_no_epoch(
    process: Make, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that none of its scripts does anything, whichever was here first."""
    one, other = process("p"), process("q")
    await one.learn()
    monkeypatch.setattr("gateway.store.fence.PROTOCOL", "2")
    with pytest.raises(ResponseError, match="PROTOCOL the store is kept in protocol 1, this gateway counts in 2"):
        await other.look()
    assert other.knows == (0, "")
    assert await redis.zrange(one.fence.key.replace("epoch", "processes"), 0, -1) == ["p"]


async def test_a_store_that_was_kept_before_there_were_protocols_is_taken_on(process: Make, redis: Redis) -> None:
    one = process()
    await one.learn()
    kept = one.fence.key.replace("epoch", "protocol")
    await redis.delete(kept)
    assert await one.learn() is False
    assert await redis.get(kept) == "1"
