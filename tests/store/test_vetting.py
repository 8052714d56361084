"""A store is looked at before it is used, and from then on: an unfit one is refused, one that is away is not."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest
from rigs.clusters import ClusterRig
from rigs.sentinels import SentinelRig
from rigs.stores import TcpServer, free_port

from gateway.model import Store
from gateway.store import StoreError, vetting
from gateway.store.topology import topology
from gateway.store.vetting import Vetting

pytestmark = pytest.mark.redis

Vet = Callable[[Store], Vetting]


@pytest.fixture
async def vet() -> AsyncIterator[Vet]:
    async with contextlib.AsyncExitStack() as stack:

        def vet(store: Store) -> Vetting:
            servers = topology(store)
            stack.push_async_callback(servers.close)
            return Vetting(servers, store)

        yield vet


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vetting, "AGAIN", 0.01)
    monkeypatch.setattr(vetting, "EVERY", 0.01)


@contextlib.asynccontextmanager
async def looking_on(vetting: Vetting) -> AsyncIterator[None]:
    task = asyncio.create_task(vetting.look_on())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def until_problem(vetting: Vetting, word: str | None) -> str | None:
    """The problem, once it has this word; None: once there is none."""
    async with asyncio.timeout(5):
        while (vetting.problem is not None) != (word is not None) or (word or "") not in (vetting.problem or ""):
            await asyncio.sleep(0.005)
    return vetting.problem


def of(server: TcpServer, **changes: object) -> Store:
    return replace(Store(kind="url", url=server.url), **changes)


async def test_a_fit_store_is_fit(server: TcpServer, vet: Vet, caplog: pytest.LogCaptureFixture) -> None:
    vetting = vet(of(server))
    with caplog.at_level("INFO"):
        assert await vetting.look()
    assert "durable: every write" in caplog.text
    assert vetting.problem is None
    assert vetting.cost == "a restart of the store costs nothing"


async def test_what_a_restart_costs_is_told_at_the_start(
    server: TcpServer, vet: Vet, caplog: pytest.LogCaptureFixture
) -> None:
    server.ask("CONFIG", "SET", "appendonly", "no")
    vetting = vet(of(server))
    assert await vetting.look()
    assert caplog.messages == [vetting.cost]
    assert vetting.cost.startswith("a restart of the store costs all usage")


async def test_an_unfit_store_is_refused(server: TcpServer, vet: Vet) -> None:
    server.ask("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    with pytest.raises(StoreError, match="allkeys-lru: it would drop counters"):
        await vet(of(server)).look()


async def test_a_store_that_becomes_unfit_is_a_problem_until_it_is_fit(server: TcpServer, vet: Vet) -> None:
    vetting = vet(of(server))
    assert await vetting.look()
    async with looking_on(vetting):
        server.ask("CONFIG", "SET", "maxmemory-policy", "volatile-lru")
        await until_problem(vetting, "volatile-lru")
        server.ask("CONFIG", "SET", "maxmemory-policy", "noeviction")
        await until_problem(vetting, None)


async def test_a_store_that_is_away_is_looked_at_when_it_is_back(
    server: TcpServer, vet: Vet, caplog: pytest.LogCaptureFixture
) -> None:
    server.kill()
    vetting = vet(of(server))
    assert not await vetting.look()
    assert vetting.problem is None
    async with looking_on(vetting):
        server.start()
        server.ask("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
        await until_problem(vetting, "allkeys-lru")
    assert "Connect call failed" in caplog.messages[0]
    assert len([line for line in caplog.messages if "Connect call failed" in line]) == 1


async def test_a_store_that_takes_no_writes_is_a_problem(server: TcpServer, vet: Vet) -> None:
    server.ask("CONFIG", "SET", "maxmemory", 1)
    vetting = vet(of(server))
    assert await vetting.look()
    assert vetting.problem is not None
    assert "it takes no writes: " in vetting.problem


async def test_missing_replicas_are_a_problem_and_no_reason_not_to_start(server: TcpServer, vet: Vet) -> None:
    vetting = vet(of(server, wait=1))
    assert await vetting.look()
    assert vetting.problem is not None
    assert "0 of the 1 replicas are connected" in vetting.problem


async def test_a_store_that_another_version_keeps_is_refused(server: TcpServer, vet: Vet) -> None:
    store = Store(kind="url", url=server.url, prefix="later")
    vetting = vet(store)
    assert await vetting.look()
    async with looking_on(vetting):
        server.ask("SET", "later:protocol", "2")
        assert "later: are kept in protocol 2, by another version" in (await until_problem(vetting, "protocol 2") or "")
        with pytest.raises(StoreError, match="carry the usage over by `gateway usage export`"):
            await vet(store).look()
        server.ask("DEL", "later:protocol")
        await until_problem(vetting, None)


async def test_behind_sentinels_the_primary_is_looked_at(watched: SentinelRig, vet: Vet) -> None:
    vetting = vet(watched.store())
    assert await vetting.look()
    assert vetting.problem is None
    watched.primary.ask("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    with pytest.raises(StoreError, match="allkeys-lru"):
        await vetting.look()
    watched.primary.ask("CONFIG", "SET", "maxmemory-policy", "noeviction")


async def test_a_name_that_no_sentinel_knows_is_refused(watched: SentinelRig, vet: Vet) -> None:
    with pytest.raises(StoreError, match=r"knows no primary 'other'; see store\.service"):
        await vet(watched.store(service="other")).look()


async def test_each_server_of_a_cluster_is_looked_at(cluster: ClusterRig, vet: Vet) -> None:
    vetting = vet(cluster.store())
    assert await vetting.look()
    assert len(vetting.facts) == 3
    assert vetting.problem is None
    odd = cluster.owner("app")
    odd.ask("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    with pytest.raises(StoreError, match="allkeys-lru"):
        await vetting.look()
    odd.ask("CONFIG", "SET", "maxmemory-policy", "noeviction")


async def test_a_cluster_that_is_away_does_not_prevent_the_start(vet: Vet, caplog: pytest.LogCaptureFixture) -> None:
    vetting = vet(Store(kind="cluster", nodes=(free_port(), free_port())))
    assert not await vetting.look()
    assert "Connect call failed" in caplog.text


async def test_a_server_that_is_no_cluster_is_told(
    server: TcpServer, vet: Vet, caplog: pytest.LogCaptureFixture
) -> None:
    assert not await vet(Store(kind="cluster", nodes=(server.address,))).look()
    assert "cluster support disabled" in caplog.text


async def test_a_wrong_password_of_a_cluster_is_refused(cluster: ClusterRig, vet: Vet, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"set store\.password") as error:
        await vet(cluster.store(username="nobody", password="hunter2")).look()
    assert "hunter2" not in str(error.value)
