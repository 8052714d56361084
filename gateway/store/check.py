"""Whether a server is fit to keep counters."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, NamedTuple

from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from gateway.model import Store
from gateway.store import StoreError
from gateway.store.refusals import explain

OLDEST = (6, 2)  # the first that has SET … EXAT
FULL = 0.9  # of maxmemory


class Persistence(StrEnum):
    """What a store's restart costs."""

    EVERY_WRITE = "every write"
    EVERY_SECOND = "every second"
    SNAPSHOTS = "snapshots"
    NONE = "none"
    UNKNOWN = "unknown"

    @property
    def cost(self) -> str:
        """The same in a sentence."""
        return COSTS[self]


COSTS = {
    Persistence.EVERY_WRITE: "a restart of the store costs nothing",
    Persistence.EVERY_SECOND: "a restart of the store costs what no running gateway remembers of its last second",
    Persistence.SNAPSHOTS: "a restart of the store costs what was counted since its last snapshot, "
    "but for what running gateways remember, and the sessions that began since: set `appendonly yes` in it",
    Persistence.NONE: "a restart of the store costs all usage, and limits start afresh, "
    "but for what running gateways remember, and it ends all sessions: set `appendonly yes` in it",
    Persistence.UNKNOWN: "the store does not tell what a restart costs",
}


class Facts(NamedTuple):
    """What a server is. A store without persistence can be used; with a `trouble` it may grant nothing now."""

    server: str  # such as "valkey 9.1.2"
    persistence: Persistence
    trouble: str | None = None
    warning: str | None = None


async def inspect(redis: Redis, store: Store) -> Facts:
    """Raises StoreAway for a server that does not answer, StoreError for one that would lose or refuse counters."""
    try:
        info = await redis.info()
        persistence = await _persistence(redis, info)
    except (RedisError, OSError) as error:
        raise explain(error, store) from error
    _require_recent(info)
    _require_alone(info, store)
    _require_primary(info)
    _require_no_eviction(info)
    return Facts(_server(info), persistence, _missing_replicas(info, store), _nearly_full(info))


def _server(info: dict[str, Any]) -> str:
    name = info.get("server_name", "redis")
    return f"{name} {info.get(f'{name}_version', info['redis_version'])}"


def _require_recent(info: dict[str, Any]) -> None:
    version = tuple(int(part) for part in str(info["redis_version"]).split(".")[:2])
    if version < OLDEST:
        raise StoreError(f"the store is {_server(info)}; Redis 6.2 or later, or Valkey, is needed")


def _require_alone(info: dict[str, Any], store: Store) -> None:
    if info.get("cluster_enabled") and store.kind != "cluster":
        raise StoreError("the store is one of a Redis Cluster; write its servers as store: {cluster: [HOST:PORT, …]}")


def _require_primary(info: dict[str, Any]) -> None:
    if info.get("role") != "master":
        raise StoreError("the store is a replica and takes no writes; give the address of its primary")


def _require_no_eviction(info: dict[str, Any]) -> None:
    policy = info.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        raise StoreError(
            f"the store's maxmemory-policy is {policy}: it would drop counters silently, and limits with them; "
            "set `maxmemory-policy noeviction` in its configuration"
        )


def _missing_replicas(info: dict[str, Any], store: Store) -> str | None:
    connected = sum(1 for name, about in info.items() if name.startswith("slave") and _is_online(about))
    if connected >= store.replicas:
        return None
    return f"{connected} of the {store.replicas} replicas are connected that must have what is granted (store.wait)"


def _is_online(about: Any) -> bool:
    return isinstance(about, dict) and about.get("state") == "online"


def _nearly_full(info: dict[str, Any]) -> str | None:
    most = info.get("maxmemory", 0)
    if not most or info["used_memory"] < FULL * most:
        return None
    return f"{info['used_memory'] / most:.0%} of the store's maxmemory is used; when it is full nothing can be counted"


async def _persistence(redis: Redis, info: dict[str, Any]) -> Persistence:
    try:
        settings = {**await redis.config_get("appendfsync"), **await redis.config_get("save")}
    except ResponseError:  # forbidden, as hosted stores do
        return Persistence.UNKNOWN
    if info.get("aof_enabled"):
        return Persistence.EVERY_WRITE if settings.get("appendfsync") == "always" else Persistence.EVERY_SECOND
    return Persistence.SNAPSHOTS if settings.get("save") else Persistence.NONE
