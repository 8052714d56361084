"""What people do with alerts: look, acknowledge, silence, send again, try a channel."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any, NamedTuple

from gateway.alerts.book import Book
from gateway.alerts.channels import NotDelivered
from gateway.alerts.outbox import Again, Outbox
from gateway.alerts.records import Record, Silence, State
from gateway.alerts.ways import Way
from gateway.alerts.wording import TEST
from gateway.model import Alert

Told = dict[str, Any]


class Unknown(Exception):
    """There is no such alert, silence or channel."""


class Unfit(Exception):
    """It cannot be done with that one; the text says why."""


class Wanted(NamedTuple):
    """A silence to be: of what, for how many seconds."""

    seconds: float
    application: str | None = None
    plan: str | None = None
    metric: str | None = None
    comment: str = ""


class Desk:
    """Of all gateways of a store; every verb raises one of shelf.AWAY while that is away."""

    def __init__(
        self,
        book: Book,
        outbox: Outbox,
        way_named: Callable[[str], Way],
        here: Callable[[], list[Record]],
        clock: Callable[[], float],
    ) -> None:
        """`way_named` raises KeyError, with a sentence; `here` are the alerts that this gateway delivers now."""
        self._book = book
        self._outbox = outbox
        self._way_named = way_named
        self._here = here
        self._clock = clock

    async def listed(self, state: str | None = None, application: str | None = None) -> list[Told]:
        """Alerts, newest first: undelivered ones, dead letters, and the latest of the others."""
        known = {record.alert.id: record for record in self._here() if record.channels}
        known.update((record.alert.id, record) for record in await self._book.records() if _ended(record, known))
        told = sorted(known.values(), key=lambda record: record.alert.raised_at, reverse=True)
        return [
            record.told()
            for record in told
            if state in (None, record.state) and application in (None, record.alert.application)
        ]

    async def show(self, alert_id: str) -> Told:
        """One alert. Raises Unknown."""
        return (await self._find(alert_id)).told()

    async def acknowledge(self, alert_id: str, by: str) -> Told:
        """Nobody is told of it any more: somebody takes care. Raises Unknown, and Unfit for what all channels have."""
        record = await self._find(alert_id)
        if record.state is State.DELIVERED:
            raise Unfit("every channel has it already")
        await self._book.acknowledge(alert_id, by)
        return (await self._find(alert_id)).told()

    async def retry(self, alert_id: str) -> Told:
        """Send it to the channels that do not have it. Raises Unknown, Unfit."""
        record = await self._find(alert_id)
        if record.state in (State.WAITING, State.DELIVERED):
            text = "it is on its way already" if record.state is State.WAITING else "every channel has it already"
            raise Unfit(text)
        await self._again(record)
        return record.told()

    async def retry_dead(self) -> list[Told]:
        """Send all dead letters again."""
        dead = [record for record in await self._book.records() if record.state is State.FAILED]
        for record in dead:
            await self._again(record)
        return [record.told() for record in dead]

    async def silences(self) -> list[Told]:
        """Those that hold."""
        return [silence.told() for silence in await self._book.silences()]

    async def silence(self, wanted: Wanted) -> Told:
        """Alerts that match go to no channel; they are in the log and in the list. Raises Unfit for one of nothing."""
        if wanted[1:4] == (None, None, None):
            raise Unfit("names no application, plan or metric")
        silence = Silence(secrets.token_hex(4), self._clock() + wanted.seconds, *wanted[1:])
        await self._book.silence(silence)
        return silence.told()

    async def unsilence(self, silence_id: str) -> None:
        """End one. Raises Unknown."""
        if not await self._book.unsilence(silence_id):
            raise Unknown(f"no silence is called {silence_id}")

    async def test(self, channel: str) -> Told:
        """Send something that says that it is a test, once. Raises Unknown."""
        try:
            way = self._way_named(channel)
        except KeyError as error:
            raise Unknown(error.args[0]) from None
        try:
            await way.channel.send([self._trial()])
        except NotDelivered as failure:
            return {"channel": channel, "delivered": False, "reason": str(failure)}
        return {"channel": channel, "delivered": True}

    def _trial(self) -> Alert:
        now = self._clock()
        return Alert(TEST + secrets.token_hex(8), "test", "test", "hits", "minute", 100, 10, 10, now, now + 60, now)

    async def _find(self, alert_id: str) -> Record:
        """As the book has it, unless it is on its way here and nobody acknowledged it."""
        record = await self._book.record(alert_id)
        if record is None or record.state is not State.ACKNOWLEDGED:
            record = next((here for here in self._here() if here.alert.id == alert_id and here.channels), record)
        if record is None:
            raise Unknown(f"no alert is called {alert_id}")
        return record

    async def _again(self, record: Record) -> None:
        """It stays a dead letter until it has ended otherwise, so that none is lost between."""
        await self._book.take_back(record.alert.id)
        await self._outbox.send_again(record.alert, Again(tuple(record.unsent), self._clock()))


def _ended(record: Record, here: dict[str, Record]) -> bool:
    """Whether the book knows better than who delivers."""
    return record.alert.id not in here or record.state is State.ACKNOWLEDGED
