"""Every alert to the log and to its plan's channels, each tried until it has it or a day has passed."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from gateway.alerts.channels import Channel, NotDelivered
from gateway.alerts.outbox import Entry, Outbox
from gateway.alerts.wording import text_of
from gateway.model import Alert

GIVE_UP_AFTER = 86_400.0  # seconds since the alert was raised; tried at least once
FIRST_PAUSE = 1.0
LONGEST_PAUSE = 900.0
KEEP_EVERY = 15.0  # seconds; well below the outbox's time for taking over
READ = 100
BLOCK = 1.0
AT_ONCE = 8  # attempts on one channel at the same time
MOST_ACTIVE = 5_000  # alerts in delivery; beyond, the oldest is given up
REMEMBERED = 10_000  # alerts of which we know who had them


@dataclass(eq=False)
class Delivery:
    """An alert on its way, and the outbox's entries that hold it: more than one after a loss of the store's data."""

    alert: Alert
    entries: set[str]
    task: asyncio.Task[None]


class Deliverer:
    """Delivers until `run` is cancelled; what is then undelivered stays in the outbox."""

    def __init__(
        self,
        outbox: Outbox,
        channels_of: Callable[[str], Sequence[Channel]],
        log: logging.Logger,
        count: Callable[[str], None],
        *,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        """`channels_of` a plan's name, the log among them; asked for each alert, so a reload may change its answer.

        `count` hears `raised`, then `delivered` (every channel has it) or `failed` (one was given up), for each alert.
        """
        self._outbox = outbox
        self._channels_of = channels_of
        self._log = log
        self._count = count
        self._clock = clock
        self._sleep = sleep
        self._jitter = jitter
        self._active: dict[str, Delivery] = {}  # by the alert's id, oldest first
        self._had: OrderedDict[str, set[str]] = OrderedDict()  # alert's id → channels that have it
        self._slots: dict[str, asyncio.Semaphore] = {}  # by channel

    async def run(self) -> None:
        """Deliver until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep())
            while True:
                for entry in await self._outbox.read(READ, BLOCK):
                    self._start(group, entry)

    async def _keep(self) -> None:
        while True:
            await self._sleep(KEEP_EVERY)
            await self._outbox.keep([entry for delivery in self._active.values() for entry in delivery.entries])

    def _start(self, group: asyncio.TaskGroup, entry: Entry) -> None:
        alert = entry.alert
        if alert.id in self._active:
            self._active[alert.id].entries.add(entry.id)
            return
        if len(self._active) >= MOST_ACTIVE:
            self._give_up_oldest(group)
        if alert.id not in self._had:
            self._count("raised")
        task = group.create_task(self._deliver(alert))
        self._active[alert.id] = Delivery(alert, {entry.id}, task)

    def _give_up_oldest(self, group: asyncio.TaskGroup) -> None:
        oldest = next(iter(self._active.values()))
        oldest.task.cancel()
        self._log_failure(oldest.alert, "some channel", f"more than {MOST_ACTIVE} alerts wait")
        group.create_task(self._finish(oldest.alert, "failed"))

    async def _deliver(self, alert: Alert) -> None:
        had = self._had_of(alert)
        missing = [channel for channel in self._channels_of(alert.plan) if channel.name not in had]
        sent = await asyncio.gather(*(self._send(channel, alert, had) for channel in missing))
        outcome = "delivered" if all(sent) else "failed"
        await self._finish(alert, outcome if missing else None)

    async def _finish(self, alert: Alert, outcome: str | None) -> None:
        delivery = self._active.pop(alert.id)
        if outcome is not None:
            self._count(outcome)
        for entry in delivery.entries:
            await self._outbox.done(entry)

    async def _send(self, channel: Channel, alert: Alert, had: set[str]) -> bool:
        """Try until the channel has it (True), does not want it, or it is too late (False)."""
        pause = FIRST_PAUSE
        while (failure := await self._attempt(channel, alert)) is not None:
            if failure.final or self._clock() - alert.raised_at > GIVE_UP_AFTER:
                self._log_failure(alert, channel.name, str(failure))
                return False
            if pause == FIRST_PAUSE:
                self._log.warning("an alert will be sent again", extra=_about(alert, channel.name, str(failure)))
            await self._sleep(pause * (0.5 + self._jitter() / 2))
            pause = min(pause * 2, LONGEST_PAUSE)
        had.add(channel.name)
        return True

    async def _attempt(self, channel: Channel, alert: Alert) -> NotDelivered | None:
        slots = self._slots.setdefault(channel.name, asyncio.Semaphore(AT_ONCE))
        async with slots:
            try:
                await channel.send(alert)
            except NotDelivered as failure:
                return failure
            except Exception as error:  # one channel's fault must not stop the others
                return NotDelivered(type(error).__name__)
        return None

    def _had_of(self, alert: Alert) -> set[str]:
        if len(self._had) >= REMEMBERED:
            self._had.popitem(last=False)
        return self._had.setdefault(alert.id, set())

    def _log_failure(self, alert: Alert, channel: str, reason: str) -> None:
        self._log.error("an alert was not delivered and is given up", extra=_about(alert, channel, reason))


def _about(alert: Alert, channel: str, reason: str) -> dict[str, str]:
    return {"alert": alert.id, "text": text_of(alert), "channel": channel, "reason": reason}
