"""A cluster's primaries are followed through failovers and while slots move."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from redis.exceptions import MovedError, RedisError
from rigs.clusters import ClusterRig
from rigs.stores import TcpServer, Tls, free_port

from gateway.model import Address, Store
from gateway.store import StoreAway
from gateway.store.cluster import AT_ONCE, Cluster
from gateway.store.node import Topology
from gateway.store.outboxes import register_outbox, registered_outboxes
from gateway.store.slots import Map, Shard, slot
from gateway.store.topology import topology

pytestmark = pytest.mark.redis

SECONDS = 5.0
TAGS = [f"app-{number}" for number in range(30)]


@pytest.fixture
async def place(cluster: ClusterRig) -> AsyncIterator[Topology]:
    place = topology(cluster.store())
    assert await place.refresh()
    yield place
    await place.close()
    for server in cluster.servers:
        if not server.alive:
            server.start()
    cluster.await_serving()


async def ask(place: Topology, tag: str, *command: str) -> Any:
    """One command where the tag's keys are."""
    link = place.node(tag).link()
    try:
        await link.open(SECONDS)
        (answer,) = await link.exchange([command], SECONDS)
    finally:
        await link.close()
    return answer


async def until_refreshed(place: Topology) -> None:
    async with asyncio.timeout(SECONDS):
        while not await place.refresh():
            pass


def run_of(server: TcpServer) -> str:
    return str(server.ask("INFO", "server")["run_id"])


async def test_each_tag_has_the_node_whose_slot_it_is(place: Topology, cluster: ClusterRig) -> None:
    assert len(place.nodes) == 3
    for tag in TAGS:
        assert await ask(place, tag, "SET", f"gw:{{{tag}}}:x", "1") == b"OK"
        assert place.node(tag).name == str(cluster.owner(tag).address)


async def test_each_node_has_a_tag_of_its_own(place: Topology) -> None:
    assert len({node.tag for node in place.nodes}) == 3
    for node in place.nodes:
        assert place.node(node.tag) is node
        assert await ask(place, node.tag, "SET", f"gw:{{{node.tag}}}:epoch", "1") == b"OK"


async def test_all_gateways_choose_the_same_tags(place: Topology, cluster: ClusterRig) -> None:
    other = topology(cluster.store(nodes=(cluster.servers[2].address,)))
    await other.refresh()
    assert {node.name: node.tag for node in other.nodes} == {node.name: node.tag for node in place.nodes}
    await other.close()


async def test_a_planned_failover_keeps_the_node(place: Topology, cluster: ClusterRig) -> None:
    node = place.node("app")
    link = node.link()
    run = await link.open(SECONDS)
    promoted = cluster.fail_over(cluster.owner("app"))
    (answer,) = await link.exchange([("SET", "{app}", 1)], SECONDS)
    assert isinstance(answer, MovedError)
    assert await link.open(SECONDS) == run  # nobody looked yet
    await until_refreshed(place)
    assert place.node("app") is node
    assert await link.open(SECONDS) == run_of(promoted) != run
    assert await link.exchange([("SET", "{app}", 1)], SECONDS) == [b"OK"]
    await link.close()


async def test_a_crash_keeps_the_node(place: Topology, cluster: ClusterRig) -> None:
    node = place.node("app")
    former = cluster.owner("app")
    link = node.link()
    await link.open(SECONDS)
    promoted = cluster.kill_primary(former)
    with pytest.raises((RedisError, OSError)):
        await link.exchange([("PING",)], SECONDS)
    await until_refreshed(place)
    assert place.node("app") is node
    assert await link.open(SECONDS) == run_of(promoted)
    await link.close()


async def test_who_only_connects_again_gets_there_too(place: Topology, cluster: ClusterRig) -> None:
    node = place.node("app")
    promoted = cluster.kill_primary(cluster.owner("app"))
    link = node.link()
    async with asyncio.timeout(SECONDS):
        while True:
            try:
                assert await link.open(SECONDS) == run_of(promoted)
            except (RedisError, OSError):
                await asyncio.sleep(0.05)
            else:
                break
    await link.close()


def test_a_replica_that_no_map_had_listed_is_known_by_its_slots() -> None:
    before = Shard("a", frozenset("a"), Address("h", 1), {1, 2, 3})
    place = Cluster(Store(kind="cluster", nodes=(Address("h", 1),)), 1.0)
    place._adopt(Map(True, 1, (before, Shard("c", frozenset("c"), Address("h", 3), {9}))))
    node = place._owners[1]
    place._adopt(
        Map(
            True,
            2,
            (Shard("b", frozenset("b"), Address("h", 2), {1, 2}), Shard("c", frozenset("c"), Address("h", 3), {3, 9})),
        )
    )
    assert (place._owners[2], str(place.nodes[0])) == (node, "<Node h:2>")


async def test_nodes_persist_when_all_failed_over_unseen(place: Topology, cluster: ClusterRig) -> None:
    before = {tag: place.node(tag) for tag in TAGS}
    for primary in {cluster.owner(tag) for tag in TAGS}:
        cluster.fail_over(primary)
    await until_refreshed(place)
    assert {tag: place.node(tag) for tag in TAGS} == before


async def test_a_slot_that_moves_is_followed_and_nodes_stay(place: Topology, cluster: ClusterRig) -> None:
    before = place.nodes
    source = place.node("app")
    target = next(server for server in cluster.servers if server.is_primary() and str(server.address) != source.name)
    assert await ask(place, "app", "SET", "{app}", "kept") == b"OK"
    cluster.move_slot(slot("app"), target)
    assert isinstance(await ask(place, "app", "GET", "{app}"), MovedError)
    await until_refreshed(place)
    assert place.node("app").name == str(target.address)
    assert await ask(place, "app", "GET", "{app}") == b"kept"
    assert set(place.nodes) == set(before)


async def test_tags_of_nodes_rarely_change_while_slots_move(place: Topology, cluster: ClusterRig) -> None:
    before = {node.name: node.tag for node in place.nodes}
    source = cluster.owner(place.nodes[0].tag)
    target = next(server for server in cluster.servers if server.is_primary() and server is not source)
    (first, *_), *_ = (slots for slots in source.ask("CLUSTER", "SLOTS") if slots[2][1] == source.address.port)
    for number in range(first, first + 20):
        cluster.move_slot(number, target)
    await until_refreshed(place)
    assert {node.name: node.tag for node in place.nodes} == before


async def test_who_asks_at_once_shares_one_look(place: Topology, cluster: ClusterRig) -> None:
    before = maps_told(cluster)
    assert await asyncio.gather(*(place.refresh() for _ in range(50))) == [True] * 50
    assert 0 < maps_told(cluster) - before <= AT_ONCE


def maps_told(cluster: ClusterRig) -> int:
    stats = (server.ask("INFO", "commandstats") for server in cluster.servers)
    return sum(told.get("cmdstat_cluster|slots", {"calls": 0})["calls"] for told in stats)


async def test_one_server_that_hangs_does_not_hide_the_map(place: Topology, cluster: ClusterRig) -> None:
    hung = cluster.owner("app")
    promoted = cluster.replica_of(hung)
    hung.pause()
    try:
        await asyncio.to_thread(cluster.await_promoted, promoted)
        await until_refreshed(place)
        assert place.node("app").name == str(promoted.address)
    finally:
        hung.resume()


async def test_a_cluster_that_is_away_is_found_later(cluster: ClusterRig) -> None:
    place = topology(Store(kind="cluster", nodes=(free_port(),)))
    assert not await place.refresh()
    assert list(place.nodes) == []
    with pytest.raises(StoreAway):
        place.node("app")
    place._seeds.append(cluster.servers[0].address)  # as if it had come back
    assert await place.refresh()
    assert len(place.nodes) == 3
    await place.close()


async def test_a_server_that_is_no_cluster_tells_no_map(server: TcpServer) -> None:
    place = topology(Store(kind="cluster", nodes=(server.address,)))
    assert not await place.refresh()
    await place.close()


async def test_clients_lead_to_a_tags_node(place: Topology, cluster: ClusterRig) -> None:
    async with place.client("app") as redis:
        await redis.set("{app}", "1")
        cluster.fail_over(cluster.owner("app"))
        with pytest.raises(MovedError):
            await redis.get("{app}")
        await until_refreshed(place)
        await redis.connection_pool.disconnect()
        assert await redis.get("{app}") == b"1"


async def test_a_script_may_write_to_its_nodes_stream(place: Topology) -> None:
    """A stream of another slot than the script's keys, but of the same server: named as an argument."""
    script = "redis.call('INCR', KEYS[1]) return redis.call('XADD', ARGV[1], '*', 'alert', '{}')"
    for tag in TAGS:
        stream = f"gw:{{{place.node(tag).tag}}}:outbox"
        assert isinstance(await ask(place, tag, "EVAL", script, "1", f"gw:{{{tag}}}:n", stream), bytes)


async def test_the_tags_of_streams_are_registered(place: Topology) -> None:
    await register_outbox(place, "reg", "7", "8")
    await register_outbox(place, "reg", "8", "")
    assert await registered_outboxes(place, "reg") == {"7", "8"}
    assert await registered_outboxes(place, "other") == set()


async def test_registering_follows_a_slot_that_moved(place: Topology, cluster: ClusterRig) -> None:
    await register_outbox(place, "reg", "7")
    cluster.fail_over(cluster.owner("reg:outboxes"))
    await register_outbox(place, "reg", "9")
    assert await registered_outboxes(place, "reg") >= {"7", "9"}


async def test_mutual_tls_and_a_password(tmp_path: Path) -> None:
    tls = Tls(tmp_path / "tls")
    rig = ClusterRig(tmp_path, tls=tls.options(mutual=True))
    try:
        rig.start()
        for server in rig.servers:
            server.ask("ACL", "SETUSER", "gateway", "on", ">secret", "~gw:*", "+@all")
        files = {"tls": True, "ca": tls.ca, "cert": tls.cert, "key": tls.key}
        place = topology(rig.store(**files, username="gateway", password="secret"))
        assert await place.refresh()
        assert await ask(place, "app", "ACL", "WHOAMI") == b"gateway"
        await place.close()
        for wrong in ({**files, "cert": None, "password": "secret"}, {**files, "password": "wrong"}):
            outside = topology(rig.store(username="gateway", **wrong))
            assert not await outside.refresh()
            await outside.close()
    finally:
        rig.close()
