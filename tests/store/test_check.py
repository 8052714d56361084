"""Which stores are fit to keep counters."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from redis.asyncio import Redis
from rigs.stores import TcpServer, binary_of, free_port

from gateway.model import Store
from gateway.store import StoreError
from gateway.store.check import Persistence, inspect
from gateway.store.connection import connect
from gateway.store.embedded import EmbeddedStore

pytestmark = pytest.mark.redis

STORE = Store(kind="url")


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    store = EmbeddedStore(tmp_path)
    yield store.start()
    store.stop()


@pytest.fixture
async def redis(url: str) -> Redis:
    async with connect(Store(kind="url", url=url)) as redis:
        yield redis


async def test_the_embedded_store_is_fit_and_forgets_nothing(redis: Redis) -> None:
    facts = await inspect(redis, STORE)
    assert facts.server.startswith("valkey 9.")
    assert facts.persistence is Persistence.EVERY_WRITE


@pytest.mark.parametrize(
    ("settings", "persistence"),
    [
        ({"appendfsync": "everysec"}, Persistence.EVERY_SECOND),
        ({"appendonly": "no", "save": "60 1"}, Persistence.SNAPSHOTS),
        ({"appendonly": "no", "save": ""}, Persistence.NONE),
    ],
)
async def test_what_a_restart_would_cost_is_told(
    redis: Redis, settings: dict[str, str], persistence: Persistence
) -> None:
    for name, value in settings.items():
        await redis.config_set(name, value)
    assert (await inspect(redis, STORE)).persistence is persistence


async def test_a_hosted_store_may_keep_its_settings_to_itself(redis: Redis) -> None:
    await redis.execute_command("ACL", "SETUSER", "default", "-config")
    assert (await inspect(redis, STORE)).persistence is Persistence.UNKNOWN


@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-lru", "volatile-ttl"])
async def test_a_store_that_evicts_is_refused(redis: Redis, policy: str) -> None:
    await redis.config_set("maxmemory-policy", policy)
    with pytest.raises(StoreError, match=f"maxmemory-policy is {policy}: .*set `maxmemory-policy noeviction`"):
        await inspect(redis, STORE)


async def test_a_replica_is_refused(redis: Redis) -> None:
    await redis.replicaof("127.0.0.1", "1")
    with pytest.raises(StoreError, match="is a replica"):
        await inspect(redis, STORE)


async def test_each_kind_of_persistence_says_what_a_restart_costs() -> None:
    assert [kind.cost.partition(" of the store ")[2][:9] for kind in Persistence] == [
        "costs not", "costs wha", "costs wha", "costs all", ""
    ]  # fmt: skip


async def test_replicas_that_must_have_grants_are_missed(redis: Redis) -> None:
    facts = await inspect(redis, replace(STORE, wait=2))
    assert facts.trouble == "0 of the 2 replicas are connected that must have what is granted (store.wait)"
    assert (await inspect(redis, replace(STORE, wait=0))).trouble is None


async def test_a_store_that_is_nearly_full_is_told(redis: Redis) -> None:
    assert (await inspect(redis, STORE)).warning is None
    used = (await redis.info("memory"))["used_memory"]
    await redis.config_set("maxmemory", int(used * 1.02))
    warning = (await inspect(redis, STORE)).warning
    assert warning is not None
    assert warning.endswith("of the store's maxmemory is used; when it is full nothing can be counted")


async def test_a_server_of_a_cluster_is_no_store_by_itself(tmp_path: Path) -> None:
    bus = ("--cluster-port", str(free_port().port))  # else one that a connection's own end may have
    server = TcpServer(binary_of("redis"), tmp_path / "server", "--cluster-enabled", "yes", *bus)
    server.start()
    async with connect(Store(kind="url", url=server.url)) as redis:
        with pytest.raises(StoreError, match=r"store: \{cluster: \[HOST:PORT, …\]\}"):
            await inspect(redis, STORE)
    server.close()


async def test_a_store_that_is_away_is_named_so(tmp_path: Path) -> None:
    async with connect(Store(kind="url", url=f"unix://{tmp_path}/nothing")) as redis:
        with pytest.raises(StoreError, match="cannot be asked"):
            await inspect(redis, STORE)


async def test_a_wrong_password_is_told_without_telling_it(redis: Redis, url: str) -> None:
    await redis.config_set("requirepass", "right")
    async with connect(Store(kind="url", url=url, password="wrong")) as other:
        with pytest.raises(StoreError, match=r"set store\.password") as error:
            await inspect(other, STORE)
    assert "wrong" not in str(error.value)
    async with connect(Store(kind="url", url=url)) as other:
        with pytest.raises(StoreError, match=r"set store\.password"):
            await inspect(other, STORE)
