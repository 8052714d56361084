"""Exact over a store of several servers, while they fail over and slots move under load."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from redis.asyncio import Redis
from rigs.clusters import ClusterRig
from rigs.ledgers import Load, all_of, ask, given_up, until_granted, yearly
from rigs.sentinels import SentinelRig
from rigs.waiting import until

from gateway.model import Charge, Store, Verdict
from gateway.quota.store import StoreLedger
from gateway.store.slots import slot
from gateway.store.topology import topology

pytestmark = [pytest.mark.redis, pytest.mark.slow]

LIMIT = 20_000
YEARLY = yearly(LIMIT)
FENCE = 1.5  # seconds: longer than a gateway takes to look


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[SentinelRig]:
    rig = SentinelRig(tmp_path, replicas=1)
    try:
        yield rig.start()
    finally:
        rig.close()


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[ClusterRig]:
    rig = ClusterRig(tmp_path, replicas=1)
    try:
        yield rig.start()
    finally:
        rig.close()


@asynccontextmanager
async def gateways(store: Store, number: int = 2) -> AsyncIterator[list[StoreLedger]]:
    """Ledgers that use a grant only when a replica has it, of a store that is open."""
    topologies = [topology(store) for _ in range(number)]
    ledgers = [StoreLedger(servers, timeout=0.3, fence=FENCE, wait=1) for servers in topologies]
    for ledger in ledgers:
        await ledger.start()
    await until(lambda: not any(ledger.fenced for ledger in ledgers))
    try:
        yield ledgers
    finally:
        for ledger, servers in zip(ledgers, topologies, strict=True):
            await ledger.close()
            await servers.close()


async def require_all_accounted_for(
    store: Store, ledger: StoreLedger, load: Load, caplog: pytest.LogCaptureFixture
) -> None:
    """Every unit of the limit was admitted, or belongs to a call that was not answered and of which the log tells.

    What stays held is held for nobody; what is spent beside the admitted was granted to who was told otherwise.
    """
    await until_granted(ledger, Charge(YEARLY, 1))
    rest = 1 + await all_of(ledger, YEARLY, seconds=10)
    admitted, lost = load.granted + rest, given_up(caplog.text)
    spent, held = await kept(store)
    print(f"\nadmitted {load.granted} + {rest} = {admitted} of {LIMIT}; units of calls not answered: {lost}, of which")
    print(f"{spent - admitted} are spent and {held} held for nobody; longest wait {load.longest * 1000:.0f} ms")
    assert LIMIT - lost <= admitted <= LIMIT
    assert spent + held <= LIMIT
    assert 0 <= spent - admitted <= lost
    assert held <= lost


async def kept(store: Store) -> tuple[int, int]:
    """Spent and held, as the store has it once all is reported."""
    async with AsyncExitStack() as stack:
        servers = topology(store)
        stack.push_async_callback(servers.close)
        await servers.refresh()
        redis = await stack.enter_async_context(servers.client("mobile"))

        async def settled() -> tuple[int, int] | None:
            first = await redis_units(redis)
            await asyncio.sleep(1.2)
            return first if await redis_units(redis) == first else None

        found: tuple[int, int] = await until(settled)
        return found


async def redis_units(redis: Redis) -> tuple[int, int]:
    (key,) = await redis.keys("gw:{mobile}:gold:*")
    spent, held, *_ = (await redis.get(key)).split()
    return int(spent), int(held)


async def test_a_failover_of_sentinel_lets_in_exactly_the_limit(
    watched: SentinelRig, caplog: pytest.LogCaptureFixture
) -> None:
    async with gateways(watched.store()) as ledgers:
        async with Load(ledgers, Charge(YEARLY, 1), rate=300) as load:
            await asyncio.sleep(0.5)
            former = watched.primary
            await asyncio.to_thread(watched.kill_primary)
            await asyncio.to_thread(former.start)
            await asyncio.to_thread(watched.reunite)  # until then no replica has what is granted
            await until(lambda: not any(ledger.down or ledger.fenced for ledger in ledgers))
            await asyncio.sleep(0.5)
        await require_all_accounted_for(watched.store(), ledgers[0], load, caplog)


async def test_a_failover_in_a_cluster_lets_in_exactly_the_limit(
    cluster: ClusterRig, caplog: pytest.LogCaptureFixture
) -> None:
    async with gateways(cluster.store(timeout=0.3)) as ledgers:
        async with Load(ledgers, Charge(YEARLY, 1), rate=300) as load:
            await asyncio.sleep(0.5)
            await asyncio.to_thread(cluster.fail_over, cluster.owner("mobile"))
            await until(lambda: not any(ledger.down or ledger.fenced for ledger in ledgers))
            await asyncio.sleep(0.5)
        await require_all_accounted_for(cluster.store(), ledgers[0], load, caplog)


async def test_slots_that_move_under_load_lose_nothing(cluster: ClusterRig, caplog: pytest.LogCaptureFixture) -> None:
    """There and back again, with the counters, the last calls, and between servers of different epochs."""
    async with gateways(cluster.store(timeout=0.3)) as ledgers:
        home = cluster.owner("mobile")
        away = next(server for server in cluster.servers[:3] if server is not home)
        async with Load(ledgers, Charge(YEARLY, 1), rate=300) as load:
            for to in (away, home, away):
                await asyncio.sleep(0.3)
                await asyncio.to_thread(cluster.move_slot, slot("mobile"), to)
            await asyncio.sleep(0.3)
        await require_all_accounted_for(cluster.store(), ledgers[0], load, caplog)


async def test_a_grant_that_no_replica_has_is_not_used(watched: SentinelRig) -> None:
    limit = yearly(9)
    async with gateways(watched.store(), 1) as (ledger,):
        (replica,) = watched.replicas
        replica.pause()
        claim = ledger.claim("mobile", (Charge(limit, 1),))
        assert (await ask(ledger, claim)).verdict is Verdict.UNAVAILABLE
        replica.resume()
        await until_granted(ledger, Charge(limit, 1))
