"""Looks now and then who will have used a limit up before its window ends, and says so once for each window."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import aclosing

from redis.exceptions import RedisError

from gateway.alerts.outbox import Outbox
from gateway.alerts.wording import forecast_of
from gateway.model import Alert, AlertKind, Config, Limit
from gateway.quota.backup import window_of
from gateway.quota.census import Census, Units
from gateway.quota.crossings import alert, fingerprint
from gateway.quota.holding import Holding
from gateway.quota.report import shown
from gateway.store import StoreError
from gateway.store.keys import Counted
from gateway.store.records import Records
from gateway.store.topology import Topology

EVERY = 600.0  # seconds between looks, which walk over all counters
SOONEST = 0.1  # of a window, before which a rate says little
DAY = 86_400.0
AWAY = (StoreError, RedisError, OSError)

log = logging.getLogger("gateway.alerts")


class Forecasts:
    """Of one gateway; those that share a store take turns."""

    def __init__(
        self,
        servers: Topology,
        records: Records,
        outbox: Outbox,
        *,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._servers = servers
        self._records = records
        self._outbox = outbox
        self._sleep = sleep
        self._config = Config()

    def take(self, config: Config) -> None:
        """The plans that hold from now on."""
        self._config = config

    async def run(self) -> None:
        """Look on, for good."""
        while True:
            await self._sleep(EVERY)
            try:
                if _asked_for(self._config) and await self._records.put(
                    "turn", "forecasts", b"", EVERY / 2, only_new=True
                ):
                    await self.look()
            except AWAY as error:
                log.debug("forecasts cannot be made: %s", error)

    async def look(self) -> int:
        """Raise what is new; how many that were. Raises one of AWAY."""
        await self._servers.refresh()
        census = Census(self._servers, self._config.store.prefix)
        holding, now, raised = Holding(self._config), await census.now(), 0
        async with aclosing(census.counters()) as counters:
            async for name, units in counters:
                limit = holding.limit(name)
                found = None if limit is None or not limit.forecast else self._alert(name, limit, units, now)
                if found is not None:
                    raised += await self._raise(found, now)
        return raised

    def _alert(self, name: Counted, limit: Limit, units: Units, now: float) -> Alert | None:
        here = window_of(name)
        if here is None or here.end is None or not here.start + SOONEST * (here.end - here.start) <= now < here.end:
            return None
        key = name.key(self._config.store.prefix)
        found = alert(shown(name.tag), limit, key, here, 0, units.spent, now)
        most = max(limit.value, limit.leased + units.topped)
        forecast = found._replace(
            id=f"{fingerprint(key)}-{AlertKind.FORECAST}", value=most, kind=AlertKind.FORECAST.value
        )
        return None if forecast_of(forecast) is None else forecast

    async def _raise(self, found: Alert, now: float) -> bool:
        """Once: an alert that is put out and not remembered is put out again, under the same id."""
        if await self._records.get("forecast", found.id) is not None:
            return False
        await self._outbox.send_again(found)
        await self._records.put("forecast", found.id, b"", (found.window_end or now) - now + DAY)
        return True


def _asked_for(config: Config) -> bool:
    return any(limit.forecast for plan in config.plans.values() for limit in plan.limits)
