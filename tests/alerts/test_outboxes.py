"""A cluster's outbox: a stream on each server, each followed wherever its slot goes."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Iterator

import pytest
from redis.exceptions import ResponseError
from rigs.clusters import ClusterRig

from gateway.alerts import outboxes
from gateway.alerts.outboxes import Outboxes
from gateway.alerts.store_outbox import GROUP
from gateway.model import Alert
from gateway.store import keys
from gateway.store.node import Topology
from gateway.store.outboxes import register_outbox
from gateway.store.slots import slot
from gateway.store.topology import topology

pytestmark = pytest.mark.redis

Make = Callable[..., Alert]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterRig]:
    """Three primaries, each with a replica."""
    rig = ClusterRig(tmp_path_factory.mktemp("cluster"), replicas=1)
    try:
        yield rig.start()
    finally:
        rig.close()


@pytest.fixture
async def place(cluster: ClusterRig) -> AsyncIterator[Topology]:
    place = topology(cluster.store())
    await place.refresh()
    yield place
    await place.close()
    for server in cluster.servers:
        if server.is_primary():
            server.ask("FLUSHALL")


@contextlib.asynccontextmanager
async def reading(cluster: ClusterRig, consumer: str = "a") -> AsyncIterator[Outboxes]:
    """The outbox of one gateway."""
    place = topology(cluster.store())
    outbox = Outboxes(place, "gw", consumer)
    try:
        yield outbox
    finally:
        await outbox.close()
        await place.close()


def raise_alert(cluster: ClusterRig, tag: str, alert: Alert) -> None:
    """As a script does that runs on the server."""
    cluster.owner(tag).ask("XADD", keys.outbox("gw", tag), "*", "alert", json.dumps(alert._asdict()))


async def read(outbox: Outboxes, count: int) -> dict[str, str]:
    """So many alerts, and their entries."""
    found: dict[str, str] = {}
    async with asyncio.timeout(20):
        while len(found) < count:
            found |= {entry.alert.id: entry.id for entry in await outbox.read(10, 0.1)}
    return found


async def test_the_streams_of_all_servers_are_read(cluster: ClusterRig, place: Topology, make_alert: Make) -> None:
    tags = [node.tag for node in place.nodes]
    for number, tag in enumerate(tags):
        raise_alert(cluster, tag, make_alert(f"a{number}"))
    async with reading(cluster) as outbox:
        found = await read(outbox, 3)
        assert sorted(found) == ["a0", "a1", "a2"]
        await outbox.keep(found.values())
        for entry in found.values():
            await outbox.done(entry)
    assert [cluster.owner(tag).ask("XLEN", keys.outbox("gw", tag)) for tag in tags] == [0, 0, 0]


async def test_a_stream_from_before_slots_moved_is_read_too(
    cluster: ClusterRig, place: Topology, make_alert: Make
) -> None:
    await register_outbox(place, "gw", "of-old")
    raise_alert(cluster, "of-old", make_alert("a1"))
    async with reading(cluster) as outbox:
        assert [*await read(outbox, 1)] == ["a1"]


async def test_a_stream_that_comes_later_is_found(
    cluster: ClusterRig, place: Topology, make_alert: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outboxes, "EVERY", 0.1)
    async with reading(cluster) as outbox:
        assert await outbox.read(10, 0.2) == []
        await register_outbox(place, "gw", "later")
        raise_alert(cluster, "later", make_alert("a1"))
        assert [*await read(outbox, 1)] == ["a1"]


@pytest.mark.alone
async def test_a_waiting_reader_hears_at_once(cluster: ClusterRig, place: Topology, make_alert: Make) -> None:
    async with reading(cluster) as outbox:
        await outbox.read(10, 0.3)  # makes the groups
        waiting = asyncio.create_task(outbox.read(10, 5.0))
        await asyncio.sleep(0.1)
        raise_alert(cluster, place.nodes[1].tag, make_alert("a1"))
        async with asyncio.timeout(0.5):
            while not (entries := await waiting):
                waiting = asyncio.create_task(outbox.read(10, 5.0))
        assert entries[0].alert.id == "a1"


async def test_a_stream_whose_slot_moved_is_followed(cluster: ClusterRig, place: Topology, make_alert: Make) -> None:
    tag = place.nodes[0].tag
    async with reading(cluster) as outbox:
        raise_alert(cluster, tag, make_alert("a1"))
        [(_, first)] = (await read(outbox, 1)).items()
        target = next(server for server in cluster.servers if server.is_primary() and server is not cluster.owner(tag))
        await asyncio.to_thread(cluster.move_slot, slot(tag), target)
        raise_alert(cluster, tag, make_alert("a2"))
        found = await read(outbox, 1)
        assert [*found] == ["a2"]
        await outbox.done(first)
        await outbox.done(found["a2"])
        await outbox.read(10, 0.1)
    assert target.ask("XLEN", keys.outbox("gw", tag)) == 0


async def test_a_stream_whose_server_failed_over_is_followed(
    cluster: ClusterRig, place: Topology, make_alert: Make
) -> None:
    tag = place.nodes[0].tag
    async with reading(cluster) as outbox:
        await outbox.read(10, 0.3)
        former = cluster.owner(tag)
        await asyncio.to_thread(cluster.kill_primary, former)
        raise_alert(cluster, tag, make_alert("a1"))
        assert [*await read(outbox, 1)] == ["a1"]
        former.start()
        cluster.await_serving()


async def test_gateways_share_the_work_and_take_over(cluster: ClusterRig, place: Topology, make_alert: Make) -> None:
    tag = place.nodes[0].tag
    async with reading(cluster, "dead") as outbox:
        await outbox.read(10, 0.3)
        raise_alert(cluster, tag, make_alert("a1"))
        await read(outbox, 1)
    async with place.client(tag) as redis:
        [entry] = await redis.xpending_range(keys.outbox("gw", tag), GROUP, "-", "+", 10)
        options = {"idle": 61_000, "justid": True}
        await redis.xclaim(keys.outbox("gw", tag), GROUP, "dead", 0, [entry["message_id"]], **options)
    async with reading(cluster, "heir") as outbox:
        assert [*await read(outbox, 1)] == ["a1"]


async def test_after_a_restart_a_gateway_goes_on_with_what_it_left(
    cluster: ClusterRig, place: Topology, make_alert: Make
) -> None:
    raise_alert(cluster, place.nodes[2].tag, make_alert("a1"))
    for _ in range(2):
        async with reading(cluster) as outbox:
            assert [*await read(outbox, 1)] == ["a1"]


async def test_a_cluster_that_forgot_the_list_is_told_again(cluster: ClusterRig, place: Topology) -> None:
    async with reading(cluster) as outbox:
        await outbox.read(10, 0.1)
        owner = cluster.owner(keys.outboxes("gw"))
        assert set(owner.ask("SMEMBERS", keys.outboxes("gw"))) >= {node.tag for node in place.nodes}


async def test_a_blocked_read_ends_when_its_stream_goes(cluster: ClusterRig, place: Topology) -> None:
    tag = place.nodes[0].tag
    stream = keys.outbox("gw", tag)
    async with place.client(tag, patience=10.0) as redis:
        await redis.xgroup_create(stream, GROUP, id="0", mkstream=True)
        blocked = asyncio.create_task(redis.xreadgroup(GROUP, "a", {stream: ">"}, block=9000))
        await asyncio.sleep(0.05)
        target = next(server for server in cluster.servers if server.is_primary() and server is not cluster.owner(tag))
        await asyncio.to_thread(cluster.move_slot, slot(tag), target)
        with pytest.raises(ResponseError):
            await blocked
