"""Whether a store is fit to keep counters: asked once, before the first request."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, NamedTuple

from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from gateway.store import StoreAway, StoreError

OLDEST = (6, 2)  # the first that has SET … EXAT


class Persistence(StrEnum):
    """What a store's restart costs."""

    EVERY_WRITE = "every write"  # nothing
    EVERY_SECOND = "every second"  # what was counted in the last second or so
    SNAPSHOTS = "snapshots"  # what was counted since the last one
    NONE = "none"  # all of it: limits start afresh
    UNKNOWN = "unknown"  # the store does not tell


class Facts(NamedTuple):
    """What a store is. `persistence` is for people: a store without any can be used."""

    server: str  # such as "valkey 9.1.2"
    persistence: Persistence


async def inspect(redis: Redis) -> Facts:
    """Raises StoreAway for a store that does not answer, StoreError for one that would lose or refuse counters."""
    try:
        info = await redis.info()
    except (RedisError, OSError) as error:
        if "auth" in str(error) or "password" in str(error):
            raise StoreError(f"the store cannot be asked: {error}; set store.password") from error
        raise StoreAway(f"the store cannot be asked: {error}") from error
    _require_recent(info)
    _require_primary(info)
    _require_no_eviction(info)
    return Facts(_server(info), await _persistence(redis, info))


def _server(info: dict[str, Any]) -> str:
    name = info.get("server_name", "redis")
    return f"{name} {info.get(f'{name}_version', info['redis_version'])}"


def _require_recent(info: dict[str, Any]) -> None:
    version = tuple(int(part) for part in str(info["redis_version"]).split(".")[:2])
    if version < OLDEST:
        raise StoreError(f"the store is {_server(info)}; Redis 6.2 or later, or Valkey, is needed")


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


async def _persistence(redis: Redis, info: dict[str, Any]) -> Persistence:
    try:
        settings = {**await redis.config_get("appendfsync"), **await redis.config_get("save")}
    except ResponseError:  # forbidden, as hosted stores do
        return Persistence.UNKNOWN
    if info.get("aof_enabled"):
        return Persistence.EVERY_WRITE if settings.get("appendfsync") == "always" else Persistence.EVERY_SECOND
    return Persistence.SNAPSHOTS if settings.get("save") else Persistence.NONE
