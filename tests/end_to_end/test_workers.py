"""Several workers on one address: all serve, count as one, and do without any of them."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import psutil
import pytest
from rigs.gateway import Gateway
from rigs.load import Load, rush, status_of
from rigs.processes import kill
from rigs.proxy import read_answer
from rigs.stage import ORDERS, Stage
from rigs.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="session")

PLANS = """
plans:
  gold: {services: [orders], limits: {hits: [LIMIT/eternity]}}
applications:
  mobile: {plans: [gold], client_ids: [mobile-app]}
"""


@asynccontextmanager
async def running(stage: Stage, folder: Path, limit: int = 10**9, workers: int = 3) -> AsyncIterator[Gateway]:
    plans = PLANS.replace("LIMIT", str(limit))
    async with stage.gateway(folder, ORDERS, plans, STORE="embedded", WORKERS=str(workers)) as gateway:
        yield gateway


def clients_of(worker: psutil.Process, gateway: Gateway) -> set[int]:
    """The local ports of the clients whose connections it has."""
    own = int(gateway.listen.rpartition(":")[2])
    connections = worker.net_connections("tcp")
    return {c.raddr.port for c in connections if c.status == psutil.CONN_ESTABLISHED and c.laddr.port == own}


async def test_connections_are_spread_over_all_workers(stage: Stage, tmp_path: Path) -> None:
    async with running(stage, tmp_path) as gateway, AsyncExitStack() as stack:
        for _ in range(60):
            reader, writer = await stack.enter_async_context(gateway.connected())
            writer.write(gateway.head(stage.token()))
            assert status_of(await read_answer(reader)) == 200
        shares = [len(clients_of(worker, gateway)) for worker in gateway.workers]
        assert sum(shares) == 60
        assert min(shares) >= 5, shares


async def test_metrics_are_those_of_all_workers_and_a_limit_is_one_for_all(stage: Stage, tmp_path: Path) -> None:
    async with running(stage, tmp_path, limit=100) as gateway:
        assert await rush([gateway], stage.token(), 300, connections=30) == {200: 100, 429: 200}
        assert await gateway.metric("gateway_workers") == 3
        assert await gateway.metric("gateway_requests_total") == 300


async def test_a_worker_that_is_killed_loses_its_own_requests_only_and_is_replaced(
    stage: Stage, tmp_path: Path
) -> None:
    async with running(stage, tmp_path) as gateway:
        counted = 0.0
        async with Load(gateway, stage.token(), kept=12, new=0).flowing() as load:
            await load.more(500)
            victim = gateway.workers[0]
            counted = await gateway.metric("gateway_requests_total")
            victim.send_signal(signal.SIGSTOP)
            own = clients_of(victim, gateway)
            kill(victim)
            await load.more(500)
            await until(lambda: len(gateway.workers) == 3)
            assert victim not in gateway.workers
            await load.more(500)
        assert set(load.lost) <= own
        assert set(load.statuses) == {200}
        assert await gateway.metric("gateway_worker_restarts_total") == 1
        assert await gateway.metric("gateway_requests_total") > counted + 500


async def test_who_connects_while_a_worker_is_replaced_is_served_by_another(stage: Stage, tmp_path: Path) -> None:
    """The file of an upstream's CA is gone, so none can start; another serves the dead one's share."""
    ca = tmp_path / "ca.pem"
    ca.write_bytes((stage.certificates / "ca.pem").read_bytes())
    service = ORDERS.replace("${CERTS}/ca.pem", str(ca))
    plans = PLANS.replace("LIMIT", "1000000")
    async with stage.gateway(tmp_path, service, plans, STORE="embedded", WORKERS="2") as gateway:
        saved = ca.read_bytes()
        ca.unlink()
        kill(gateway.workers[0])
        await gateway.said("did not start, the next attempt is in 0.4 s")
        assert await rush([gateway], stage.token(), 40, connections=40) == {200: 40}
        assert await gateway.missing() == []
        await gateway.said("did not start, the next attempt is in 0.8 s")
        ca.write_bytes(saved)
        await until(lambda: len(gateway.workers) == 2)
        await until(lambda: two_report(gateway))
        assert await rush([gateway], stage.token(), 40, connections=40) == {200: 40}


async def two_report(gateway: Gateway) -> bool:
    return await gateway.metric("gateway_workers") == 2


async def test_without_half_of_its_workers_it_is_not_ready(stage: Stage, tmp_path: Path) -> None:
    async with running(stage, tmp_path, workers=2) as gateway:
        for worker in gateway.workers:
            worker.send_signal(signal.SIGSTOP)
        assert await gateway.missing() == ["workers: 0 of 2 serve"]
        gateway.workers[0].send_signal(signal.SIGCONT)
        await until(gateway.is_ready)
        gateway.workers[1].send_signal(signal.SIGCONT)
