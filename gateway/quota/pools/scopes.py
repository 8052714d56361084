"""Scopes of pools in the store."""

from __future__ import annotations

from gateway.model import Charge, Limit
from gateway.quota.counters import Claim
from gateway.quota.meters import Meter
from gateway.quota.pools.meters import Pool, PoolMeter
from gateway.quota.scopes import Scope
from gateway.store import keys


class PoolScope(Scope):
    """A scope's pools. They are asked for apart from its windows, as if it were another scope."""

    __slots__ = ("_base", "_pools")

    def __init__(self, prefix: str, process: str, name: str) -> None:
        super().__init__(prefix, process, name)
        self.name = f"{name} (pools)"
        self._base = name
        self._pools: dict[str, Pool] = {}

    def claim(self, charges: tuple[Charge, ...]) -> Claim[Meter]:
        """The same claim for the same charges; its limits hold from now on."""
        for charge in charges:
            self._meter(charge.limit)
        return super().claim(charges)

    def _meter(self, limit: Limit) -> Meter:
        key = keys.pool(self._prefix, self._base, limit)
        pool = self._pools.get(key)
        if pool is None:
            pool = self._pools[key] = Pool(self, key, limit)
        pool.set(limit)
        meter = self._meters.get(limit)
        if meter is None:
            meter = self._meters[limit] = PoolMeter(self, limit, pool)
        return meter
