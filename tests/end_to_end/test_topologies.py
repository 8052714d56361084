"""Gateways on stores of several servers: the limit holds through failovers and moving slots, and alerts arrive."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from rigs.clusters import ClusterRig
from rigs.gateway import Gateway
from rigs.rush import Rush
from rigs.sentinels import NAME, SentinelRig
from rigs.stage import ORDERS, Stage
from rigs.waiting import until

from gateway.store.slots import slot

# alone: what a failover costs is bounded, where requests do not wait for the machine besides
pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.redis, pytest.mark.slow, pytest.mark.alone]

LIMIT = 2_000
PLANS = f"""
plans:
  gold: {{services: [orders], limits: {{hits: [{LIMIT}/eternity]}}, alerts: {{at: [50]}}}}
applications:
  mobile: {{plans: [gold], client_ids: [mobile-app]}}
"""


async def spend(running: list[Gateway], token: str, what: str, hurt: Callable[[], object]) -> Counter[int]:
    """Requests without a pause, while the store is hurt, until all that get an answer are over the limit."""
    rushes = [await Rush(running, token, 400, connections=20).end()]
    hurting = asyncio.create_task(asyncio.to_thread(hurt))
    for _ in range(100):
        rushes.append(await Rush(running, token, 200, connections=20).end())
        if hurting.done() and set(rushes[-1].statuses) == {429}:
            break
        await asyncio.sleep(0.1)
    await hurting
    statuses = sum((rush.statuses for rush in rushes), Counter())
    longest = max(wait for rush in rushes for wait in rush.waits)
    print(f"\n{what}: admitted {statuses[200]} of {LIMIT}; {dict(statuses)}, longest wait {longest * 1000:.0f} ms")
    return statuses


async def test_behind_sentinels_the_limit_holds_when_the_primary_dies(stage: Stage, tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    rig = SentinelRig(tmp_path / "store")
    try:
        rig.start()
        sentinels = [str(sentinel.address) for sentinel in rig.sentinels]
        keys = f"sentinel: {sentinels}, service: {NAME}"

        def hurt() -> None:
            former = rig.primary
            rig.kill_primary()
            former.start()
            rig.reunite()

        async with stage.gateways(2, tmp_path, ORDERS, PLANS, STORE_KEYS=keys, STORE_TIMEOUT="500ms") as running:
            statuses = await spend(running, stage.token(), "a primary behind Sentinels dies", hurt)
            assert LIMIT * 0.9 < statuses[200] <= LIMIT
            await all_well(running)
    finally:
        rig.close()


async def test_in_a_cluster_the_limit_holds_when_a_primary_dies_and_a_slot_moves(stage: Stage, tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    rig = ClusterRig(tmp_path / "store", replicas=1)
    try:
        rig.start()
        keys = f"cluster: {[str(server.address) for server in rig.servers[:3]]}"

        def hurt() -> None:
            former = rig.owner("mobile")
            other = next(server for server in rig.servers if server.is_primary() and server is not former)
            rig.move_slot(slot("mobile"), other)
            rig.kill_primary(other)
            other.start()
            rig.await_serving()

        async with stage.gateways(2, tmp_path, ORDERS, PLANS, STORE_KEYS=keys, STORE_TIMEOUT="500ms") as running:
            statuses = await spend(running, stage.token(), "a slot of a cluster moves, its primary dies", hurt)
            assert LIMIT * 0.9 < statuses[200] <= LIMIT
            await all_well(running)
    finally:
        rig.close()


async def all_well(running: list[Gateway]) -> None:
    """All are ready, and the one alert was delivered."""

    async def ready() -> bool:
        return all([(await gateway.readyz()).status_code == 200 for gateway in running])

    async def delivered() -> bool:
        return sum([await gateway.metric('gateway_alerts_total{state="delivered"}') for gateway in running]) == 1

    await until(ready)
    await until(delivered)
