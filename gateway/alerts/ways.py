"""A channel with when and how it is used; and its lane, on which alerts that are due at one time go together."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from gateway.alerts.channels import Channel, NotDelivered
from gateway.destinations import Quiet
from gateway.model import Alert

AT_ONCE = 8  # attempts on one channel at the same time


@dataclass(frozen=True)
class Way:
    """A channel. `batch` in seconds: how long alerts are collected. `always`: neither silence nor a person stops it."""

    channel: Channel
    batch: float = 0.0
    quiet: Quiet | None = None
    always: bool = False

    @property
    def name(self) -> str:
        """The channel's."""
        return self.channel.name


def quiet_for(quiet: Quiet | None, now: float) -> float:
    """The seconds until quiet hours end; 0 outside of them. Hours are the clock's on the wall, also in DST."""
    if quiet is None:
        return 0.0
    here = datetime.fromtimestamp(now, ZoneInfo(quiet.zone))
    second = here.hour * 3600 + here.minute * 60 + here.second
    if quiet.start < quiet.end:
        inside, tomorrow = quiet.start <= second < quiet.end, False
    else:
        inside, tomorrow = second >= quiet.start or second < quiet.end, second >= quiet.start
    if not inside:
        return 0.0
    day = here.replace(hour=0, minute=0, second=0, microsecond=0, fold=0) + timedelta(days=tomorrow)
    end = day.replace(hour=quiet.end // 3600, minute=quiet.end % 3600 // 60)
    return max(1.0, end.timestamp() - now)


class Lane:
    """One channel's. What waits goes in groups of as many as a message holds, a few messages at a time."""

    def __init__(
        self,
        spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]],
        sleep: Callable[[float], Awaitable[object]],
    ) -> None:
        self._spawn = spawn
        self._sleep = sleep
        self._waiting: deque[tuple[Alert, asyncio.Future[NotDelivered | None]]] = deque()
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._collecting = False

    async def attempt(self, way: Way, alert: Alert) -> NotDelivered | None:
        """Sends it, perhaps with others; None: the channel has it."""
        answer: asyncio.Future[NotDelivered | None] = asyncio.get_running_loop().create_future()
        self._waiting.append((alert, answer))
        if not self._collecting:
            self._collecting = True
            self._spawn(self._collect(way))
        return await answer

    async def _collect(self, way: Way) -> None:
        if way.batch:
            await self._sleep(way.batch)
        while self._waiting:
            await self._slots.acquire()
            group = self._take(way.channel.most)
            self._spawn(self._send(way.channel, group))
        self._collecting = False

    def _take(self, most: int) -> dict[Alert, asyncio.Future[NotDelivered | None]]:
        """The next ones for whose answer somebody still waits."""
        group: dict[Alert, asyncio.Future[NotDelivered | None]] = {}
        while self._waiting and len(group) < most:
            alert, answer = self._waiting.popleft()
            if not answer.done():
                group[alert] = answer
        return group

    async def _send(self, channel: Channel, group: dict[Alert, asyncio.Future[NotDelivered | None]]) -> None:
        try:
            outcomes = await _try_all(channel, list(group)) if group else {}
        finally:
            self._slots.release()
        for alert, outcome in outcomes.items():
            if not group[alert].done():
                group[alert].set_result(outcome)


async def _try_all(channel: Channel, alerts: Sequence[Alert]) -> dict[Alert, NotDelivered | None]:
    """Together; where they are refused for good, each by itself, as one may have spoiled it for the others."""
    failure = await _try(channel, alerts)
    if failure is not None and failure.final and len(alerts) > 1:
        return {alert: await _try(channel, [alert]) for alert in alerts}
    return dict.fromkeys(alerts, failure)


async def _try(channel: Channel, alerts: Sequence[Alert]) -> NotDelivered | None:
    try:
        await channel.send(alerts)
    except NotDelivered as failure:
        return failure
    except Exception as error:  # one channel's fault must not stop the others
        return NotDelivered(type(error).__name__)
    return None
