"""Every alert to the log and to its channels, each tried until it has it, a person says stop, or a day has passed."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from gateway.alerts.book import Book
from gateway.alerts.closings import Closings
from gateway.alerts.outbox import Again, Entry, Outbox
from gateway.alerts.records import Record, State, Try
from gateway.alerts.ways import Lane, Way, quiet_for
from gateway.alerts.wording import text_of
from gateway.model import Alert

GIVE_UP_AFTER = 86_400.0  # seconds since the alert was raised, sent again, or quiet hours ended; tried at least once
FIRST_PAUSE = 1.0
LONGEST_PAUSE = 900.0
KEEP_EVERY = 15.0  # seconds; well below the outbox's time for taking over
READ = 100
BLOCK = 1.0
MOST_ACTIVE = 5_000  # alerts in delivery; beyond, the oldest is given up
REMEMBERED = 10_000  # alerts of which we know who had them
WORST_FIRST = (State.FAILED, State.ACKNOWLEDGED, State.SILENCED)  # what an alert is whose channels fared unlike


@dataclass(eq=False)
class Delivery:
    """An alert on its way, and the outbox's entries that hold it: more than one after a loss of the store's data."""

    record: Record
    entries: set[str]
    task: asyncio.Task[None]
    again: bool = False


class Deliverer:
    """Delivers until `run` is cancelled; what is then undelivered stays in the outbox."""

    def __init__(
        self,
        outbox: Outbox,
        ways_of: Callable[[Alert], Sequence[Way]],
        book: Book,
        log: logging.Logger,
        count: Callable[[str], None],
        *,
        count_attempt: Callable[[str, bool], None] = lambda channel, delivered: None,
        closings: Closings | None = None,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        """`ways_of` an alert, the log among them; asked for each attempt, so a reload may change its answer.

        `count` hears `raised`, then how it ended, as State names it, for each alert; `delivered`: every channel has
        it. `count_attempt` hears each attempt on a channel, and whether that has it.
        """
        self._outbox = outbox
        self._ways_of = ways_of
        self._book = book
        self._log = log
        self._count = count
        self._count_attempt = count_attempt
        self._closings = closings
        self._clock = clock
        self._sleep = sleep
        self._jitter = jitter
        self._active: dict[str, Delivery] = {}  # by the alert's id, oldest first
        self._had: OrderedDict[str, set[str]] = OrderedDict()  # alert's id → channels that have it
        self._lanes: dict[str, Lane] = {}  # by channel

    @property
    def undelivered(self) -> list[Record]:
        """Those on their way."""
        return [delivery.record for delivery in self._active.values()]

    async def run(self) -> None:
        """Deliver until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep())
            while True:
                for entry in await self._outbox.read(READ, BLOCK):
                    self._start(group, entry)

    async def _keep(self) -> None:
        while True:
            await self._book.count_dead()
            await self._sleep(KEEP_EVERY)
            await self._outbox.keep([entry for delivery in self._active.values() for entry in delivery.entries])

    def _start(self, group: asyncio.TaskGroup, entry: Entry) -> None:
        alert = entry.alert
        if alert.id in self._active:
            self._active[alert.id].entries.add(entry.id)
            return
        if len(self._active) >= MOST_ACTIVE:
            self._give_up_oldest(group)
        if alert.id not in self._had and entry.again is None:
            self._count("raised")
        record = Record(alert, at=alert.raised_at)
        task = group.create_task(self._deliver(group, record, entry.again))
        self._active[alert.id] = Delivery(record, {entry.id}, task, again=entry.again is not None)

    def _give_up_oldest(self, group: asyncio.TaskGroup) -> None:
        alert_id, oldest = next(iter(self._active.items()))
        oldest.task.cancel()
        del self._active[alert_id]
        self._log_failure(oldest.record.alert, "some channel", f"more than {MOST_ACTIVE} alerts wait")
        for name, found in oldest.record.channels.items():
            if found.state is State.WAITING:
                oldest.record.channels[name] = found._replace(state=State.FAILED)
        group.create_task(self._finish(oldest, State.FAILED))

    async def _deliver(self, group: asyncio.TaskGroup, record: Record, again: Again | None) -> None:
        had = self._had_of(record.alert)
        if self._closings is not None and again is None:
            await self._closings.expect(record.alert)
        if again is not None:
            had.difference_update(again.to)
        names = [way.name for way in self._ways_of(record.alert)] if again is None else again.to
        missing = [name for name in names if name not in had]
        since = record.alert.raised_at if again is None else again.since
        record.channels.update((name, Try(State.WAITING, self._clock())) for name in missing)
        ends = await asyncio.gather(*(self._send(group, record, name, since) for name in missing))
        outcome = next((state for state in WORST_FIRST if state in ends), State.DELIVERED)
        await self._finish(self._active.pop(record.alert.id), outcome if missing else None)

    async def _finish(self, delivery: Delivery, outcome: State | None) -> None:
        if outcome is not None:
            self._count(outcome)
            record = delivery.record
            record.state, record.at = outcome, self._clock()
            if outcome is State.FAILED:
                await self._book.bury(record)
            elif delivery.again or self._book.dead:
                await self._book.unbury(record)
            await self._book.note(record)
        for entry in delivery.entries:
            await self._outbox.done(entry)

    async def _send(self, group: asyncio.TaskGroup, record: Record, name: str, since: float) -> State:
        """Try until the channel has it, does not want it, people do not, or it is too late."""
        alert, pause = record.alert, FIRST_PAUSE
        while True:
            way = next((way for way in self._ways_of(alert) if way.name == name), None)
            if way is None:
                return self._fail(record, name, "no such channel of the plan any more")
            if not way.always and (stop := await self._book.verdict(alert)) is not None:
                return self._mark(record, name, stop)
            if wait := quiet_for(way.quiet, self._clock()):
                await self._hold(record, name, "quiet hours", wait)
                since = self._clock()
                continue
            if self._closings is not None:
                record.alert = alert = await self._closings.filled(alert)
            failure = await self._lane(group, name).attempt(way, alert)
            self._count_attempt(name, failure is None)
            if failure is None:
                self._had_of(alert).add(name)
                return self._mark(record, name, State.DELIVERED, tried=True)
            if failure.final or self._clock() - since > GIVE_UP_AFTER:
                return self._fail(record, name, str(failure), tried=True)
            if pause == FIRST_PAUSE:
                self._log.warning("an alert will be sent again", extra=_about(alert, name, str(failure)))
            await self._hold(record, name, str(failure), pause * (0.5 + self._jitter() / 2), tried=True)
            pause = min(pause * 2, LONGEST_PAUSE)

    async def _hold(self, record: Record, name: str, reason: str, seconds: float, *, tried: bool = False) -> None:
        self._mark(record, name, State.WAITING, reason, tried=tried)
        await self._book.note(record)
        await self._sleep(seconds)

    def _mark(self, record: Record, name: str, state: State, reason: str = "", *, tried: bool = False) -> State:
        attempts = record.channels[name].attempts + tried
        record.channels[name] = Try(state, self._clock(), attempts, reason or record.channels[name].reason)
        return state

    def _fail(self, record: Record, name: str, reason: str, *, tried: bool = False) -> State:
        self._log_failure(record.alert, name, reason)
        return self._mark(record, name, State.FAILED, reason, tried=tried)

    def _lane(self, group: asyncio.TaskGroup, name: str) -> Lane:
        return self._lanes.setdefault(name, Lane(group.create_task, self._sleep))

    def _had_of(self, alert: Alert) -> set[str]:
        if len(self._had) >= REMEMBERED:
            self._had.popitem(last=False)
        return self._had.setdefault(alert.id, set())

    def _log_failure(self, alert: Alert, channel: str, reason: str) -> None:
        self._log.error("an alert was not delivered and is given up", extra=_about(alert, channel, reason))


def _about(alert: Alert, channel: str, reason: str) -> dict[str, str]:
    return {"alert": alert.id, "text": text_of(alert), "channel": channel, "reason": reason}
