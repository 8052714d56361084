"""How many requests limits have refused, by window: for alerts, which tell it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from math import ceil
from typing import Any

from gateway.model import Limit
from gateway.quota.crossings import fingerprint
from gateway.quota.periods import window, zone_of
from gateway.store import keys

EVERY = 1.0  # seconds between reports
MOST = 10_000  # counters of which refusals are remembered until they are reported
REACHED = 100  # the bin of the alert that tells it

log = logging.getLogger(__name__)


class Refusals:
    """Of one worker. `tell` is given how many there were since, by counter and window; it may raise one of `away`."""

    def __init__(
        self,
        prefix: str,
        tell: Callable[[Mapping[str, int]], Awaitable[Any]],
        away: tuple[type[Exception], ...] = (),
    ) -> None:
        self._prefix = prefix
        self._tell = tell
        self._away = away
        self._counts: dict[tuple[str, int, float], tuple[Limit, int]] = {}  # the limit is kept so that its id is

    def count(self, scope: str, limit: Limit, resets_at: float | None) -> None:
        """One more."""
        if resets_at is None or REACHED not in limit.bins:
            return
        key = scope, id(limit), resets_at
        before = self._counts.get(key)
        if before is not None:
            self._counts[key] = limit, before[1] + 1
        elif len(self._counts) < MOST:
            self._counts[key] = limit, 1

    async def run(self) -> None:
        """Report on, for good."""
        while True:
            await asyncio.sleep(EVERY)
            await self.report()

    async def report(self) -> None:
        """Tell what there was since the last time; again later where nobody can be told."""
        counts, self._counts = self._counts, {}
        named: dict[str, int] = {}
        for (scope, _, resets_at), (limit, count) in counts.items():
            name = self._name(scope, limit, resets_at)
            named[name] = named.get(name, 0) + count
        try:
            if named:
                await self._tell(named)
        except self._away as error:
            log.debug("refusals cannot be told: %s", error)
            for key, (limit, count) in counts.items():
                self._counts[key] = limit, count + self._counts.get(key, (limit, 0))[1]

    def _name(self, scope: str, limit: Limit, resets_at: float) -> str:
        zone = zone_of(limit.period, limit.zone)
        start = window(limit.period, zone, resets_at - 0.5).start
        key = keys.counter(keys.counters(self._prefix, scope, limit, zone), start)
        return f"{fingerprint(key)}:{ceil(resets_at)}"
