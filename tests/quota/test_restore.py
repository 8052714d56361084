"""Back-ups of real stores in use: everything comes back, and nothing is let in beyond a limit."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from rigs.clusters import ClusterRig
from rigs.ledgers import Load, all_of, gateway, yearly
from rigs.sentinels import SentinelRig
from rigs.stores import Server

from gateway.model import Charge, Store
from gateway.quota.backup import Header, Saved, end_line, header_line, line, read, window_of
from gateway.quota.census import Census
from gateway.quota.restore import Restorer, select
from gateway.quota.store import StoreLedger
from gateway.store import StoreAway, StoreError
from gateway.store.keys import Counted
from gateway.store.slots import slot
from gateway.store.topology import topology

pytestmark = pytest.mark.redis

LIMIT = yearly(1_000_000)
FENCE = 0.2


async def export(store: Store) -> list[bytes]:
    """A whole back-up, as lines."""
    servers = topology(store)
    await servers.refresh()
    census, lines = Census(servers, "gw"), []
    try:
        lines.append(header_line(Header("gw", await census.now(), tuple(await census.epochs()))))
        async with aclosing(census.counters()) as counters:
            async for name, units in counters:
                here = window_of(name)
                assert here is not None
                lines.append(line(Saved(name, here, units.spent, units.topped, units.raised, *units[3:5])))
    finally:
        await servers.close()
    return [text.encode() for text in (*lines, end_line(len(lines) - 1))]


async def restore(store: Store, lines: list[bytes], **options: Any) -> int:
    """How many counters were changed."""
    servers = topology(store)
    await servers.refresh()
    settings = {"prefix": "gw", "fence": FENCE, "durable": False, "replicas": 0, **options}
    try:
        selected = select(read(lines), await Census(servers, "gw").now())
        return await Restorer(servers, **settings).restore(selected.scopes)
    finally:
        await servers.close()


def spent(lines: list[bytes]) -> dict[Counted, int]:
    return {saved.name: saved.spent for saved in read(lines)}


async def use(store: Store, scopes: int, requests: int) -> None:
    """So many requests of so many applications, counted to the end."""
    servers = topology(store)
    ledger = StoreLedger(servers, timeout=5, fence=0)
    await ledger.start()
    try:
        done = [asyncio.get_running_loop().create_future() for _ in range(scopes * requests)]
        for number, future in enumerate(done):
            claim = ledger.claim(f"app-{number % scopes}", (Charge(LIMIT, 1), Charge(yearly(10**9, metric="bytes"), 7)))
            outcome = ledger.consume(claim, future.set_result)
            if outcome is not None:
                future.set_result(outcome)
        assert {outcome.verdict for outcome in await asyncio.gather(*done)} == {"granted"}
    finally:
        await ledger.close()
        await servers.close()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterRig]:
    rig = ClusterRig(tmp_path_factory.mktemp("cluster"), kind="valkey")
    try:
        yield rig.start()
    finally:
        rig.close()


# --- everything comes back


async def test_a_store_that_was_wiped_has_everything_again(server: Server) -> None:
    store = Store(kind="url", url=server.url)
    await use(store, scopes=120, requests=5)
    lines = await export(store)
    assert sorted(spent(lines).values()) == [5] * 120 + [35] * 120
    server.ask("FLUSHALL")
    assert await restore(store, lines) == 240
    assert spent(await export(store)) == spent(lines)
    assert await restore(store, lines) == 0


async def test_an_export_under_load_is_what_was_counted_at_some_time_of_it(server: Server) -> None:
    store = Store(kind="url", url=server.url)
    async with gateway(server.url) as one, gateway(server.url) as other, Load([one, other], Charge(LIMIT, 1)) as load:
        while load.granted < 200:
            await asyncio.sleep(0.01)
        before = spent(await export(store))
        lines = await export(store)
        after = load.granted
    (name,) = before
    assert 0 < before[name] <= spent(lines)[name] <= after
    server.ask("FLUSHALL")
    await restore(store, lines)
    assert spent(await export(store)) == spent(lines)


async def test_a_cluster_has_everything_again(cluster: ClusterRig) -> None:
    store = cluster.store(prefix="gw")
    await use(store, scopes=60, requests=3)
    lines = await export(store)
    assert len({slot(name.tag) for name in spent(lines)}) > 3
    for server in cluster.servers:
        server.ask("FLUSHALL")
    assert await restore(store, lines) == 120
    assert spent(await export(store)) == spent(lines)


async def test_slots_on_their_way_do_not_hide_counters(cluster: ClusterRig) -> None:
    """A walk over the servers could miss what moves meanwhile: it says so instead."""
    number = slot("app-0")
    target = next(server for server in cluster.servers if server is not cluster.owner("app-0"))
    cluster.begin_move(number, target)
    with pytest.raises(StoreAway, match="on their way"):
        await export(cluster.store())
    cluster.finish_move(number, target)
    await export(cluster.store())


@pytest.mark.slow
async def test_behind_sentinels_replicas_have_what_was_put_back(tmp_path: Path) -> None:
    rig = SentinelRig(tmp_path, kind="valkey")
    try:
        store = rig.start().store()
        await use(store, scopes=10, requests=2)
        lines = await export(store)
        rig.primary.ask("FLUSHALL")
        assert await restore(store, lines, replicas=1) == 20
        rig.kill_primary()
        assert spent(await export(store)) == spent(lines)
    finally:
        rig.close()


async def test_a_back_up_moves_to_another_store(server: Server, cluster: ClusterRig) -> None:
    one = Store(kind="url", url=server.url)
    await use(one, scopes=7, requests=4)
    lines = await export(one)
    for other in cluster.servers:
        other.ask("FLUSHALL")
    await restore(cluster.store(), lines)
    assert spent(await export(cluster.store())) == spent(lines)


# --- gateways count meanwhile


async def test_importing_into_a_store_in_use_gives_nothing_back(server: Server) -> None:
    limit, store = yearly(3_000), Store(kind="url", url=server.url)
    async with gateway(server.url) as one, gateway(server.url) as other:
        async with Load([one, other], Charge(limit, 1), rate=1_500) as load:
            while load.outcomes["refused"] < 100:
                await restore(store, await export(store))
        for ledger in (one, other):
            load.outcomes["granted"] += await all_of(ledger, limit)
    assert load.granted == 3_000


async def test_what_was_counted_since_a_loss_is_added_to_the_back_up(server: Server) -> None:
    """All gateways were gone with the store, and new ones count in an empty one when the back-up comes."""
    limit, store = yearly(1_000), Store(kind="url", url=server.url)
    async with gateway(server.url, durable=False) as ledger:
        before = await first(ledger, 400, limit)
    lines = await export(store)
    server.ask("FLUSHALL")
    async with gateway(server.url, durable=False) as ledger:
        since = await first(ledger, 150, limit)
        await restore(store, lines)
        later = await all_of(ledger, limit)
    assert (before, since, later) == (400, 150, 450)


async def first(ledger: StoreLedger, requests: int, limit: Any) -> int:
    """So many requests, and their units reported and returned."""
    granted = 0
    claim = ledger.claim("mobile", (Charge(limit, 1),))
    for _ in range(requests):
        later: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        outcome = ledger.consume(claim, later.set_result) or await later
        granted += outcome.verdict == "granted"
    while ledger.owes or ledger.in_hand:
        await asyncio.sleep(0.02)
    return granted


# --- what cannot be


async def test_who_may_not_write_is_told_so_at_once(server: Server) -> None:
    store = Store(kind="url", url=server.url)
    await use(store, scopes=1, requests=1)
    lines = await export(store)
    server.ask("ACL", "SETUSER", "reader", "on", ">secret", "~*", "+@read", "+info", "+time")
    reader = Store(kind="url", url=server.url, username="reader", password="secret")
    assert spent(await export(reader)) == spent(lines)
    with pytest.raises(StoreError, match="permits too little"):
        await restore(reader, lines)


async def test_what_is_no_counter_is_left_out_and_named(server: Server) -> None:
    store = Store(kind="url", url=server.url)
    await use(store, scopes=1, requests=1)
    server.ask("SET", "gw:{x}:gold::hits:year:UTC:0", "rubbish")
    server.ask("SADD", "gw:{y}:gold::hits:year:UTC:0", "a set")
    servers = topology(store)
    census = Census(servers, "gw")
    assert len([name async for name, _ in census.counters()]) == 2
    assert sorted(census.rubbish) == ["gw:{x}:gold::hits:year:UTC:0", "gw:{y}:gold::hits:year:UTC:0"]
