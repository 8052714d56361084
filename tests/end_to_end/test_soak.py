"""Traffic leaves no memory, descriptor or task behind. SOAK=SECONDS makes it longer, `scripts/benchmark soak` hours."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import NamedTuple

import pytest
from rigs.gateway import Gateway
from rigs.load import Load, lasting
from rigs.processes import private_bytes
from rigs.stage import ORDERS, Stage
from rigs.waiting import until

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.slow]

WARM = 3_000  # requests until what is remembered has been learnt
SECONDS = float(os.environ.get("SOAK", "10"))
ROUND = 1_000
GROWTH = 4_000_000  # bytes that are the allocator's
PLANS = """
gateway: {{limits: {{invalid_credentials: off}}}}
plans:
  gold: {{services: [orders], limits: {{hits: [{limit}]}}}}
applications:
  mobile: {{plans: [gold], client_ids: [mobile-app]}}
"""


class Look(NamedTuple):
    memory: int
    descriptors: int
    tasks: float


async def look(gateway: Gateway) -> Look:
    """Once the last connection is gone."""

    async def at_rest() -> bool:
        return await gateway.metric("gateway_connections") == 0

    await until(at_rest)
    processes = gateway.processes()
    descriptors = sum(process.num_fds() for process in processes)
    return Look(private_bytes(processes), descriptors, await gateway.metric("gateway_tasks"))


@pytest.mark.timeout(180 + 2 * SECONDS)
async def test_traffic_leaves_nothing_behind(stage: Stage, tmp_path: Path) -> None:
    plans = PLANS.format(limit=lasting(10_000_000))
    async with stage.gateway(tmp_path, ORDERS, plans) as gateway:
        await serve(gateway, stage.token(), WARM)
        await serve_for(gateway, stage.token(), SECONDS / 2)
        before = await look(gateway)
        await serve_for(gateway, stage.token(), SECONDS / 2)
        after = await look(gateway)
    print(f"\nbefore: {before}\nafter:  {after}")
    assert after.memory < before.memory + GROWTH
    assert after.descriptors <= before.descriptors
    assert after.tasks <= before.tasks


async def serve_for(gateway: Gateway, token: str, seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        await serve(gateway, token, ROUND)


async def serve(gateway: Gateway, token: str, requests: int) -> None:
    """On kept connections and on new ones, with good tokens and refused ones."""
    good, refused = Load(gateway, token), Load(gateway, "not.a.token", kept=1, new=2)
    async with good.flowing(), refused.flowing():
        await asyncio.gather(good.more(requests), refused.more(requests // 10))
    assert set(good.statuses) == {200}
    assert set(refused.statuses) <= {401, 429}
    assert not good.lost and not refused.lost
