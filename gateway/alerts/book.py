"""What has become of each alert, and what people have said about it: shared by all gateways of a store."""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from gateway.alerts.records import Record, Silence, State
from gateway.alerts.shelf import Shelf
from gateway.model import Alert

log = logging.getLogger(__name__)

MOST = 5_000  # alerts that are remembered; the oldest of those that ended go first
MOST_DEAD = 10_000
FRESH = 1.0  # seconds for which silences are not asked for again
FIRST_PAUSE = 1.0  # seconds between attempts to keep a dead letter, doubled up to
LONGEST_PAUSE = 60.0


class Book:
    """`away` are the errors that mean that the store cannot be asked now; delivery goes on then, by what is known."""

    def __init__(
        self,
        shelf: Shelf,
        *,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[object]],
        away: tuple[type[Exception], ...] = (),
    ) -> None:
        self._shelf = shelf
        self._clock = clock
        self._sleep = sleep
        self._away = away
        self._silences: tuple[Silence, ...] = ()
        self._asked = 0.0
        self.dead = 0  # letters, as far as is known

    # --- for who delivers: a store that is away stops nothing

    async def verdict(self, alert: Alert) -> State | None:
        """Whether people have said that nobody is to be told (any more)."""
        try:
            await self._learn()
            if await self._shelf.get("acknowledged", alert.id) is not None:
                return State.ACKNOWLEDGED
        except self._away as error:
            log.debug("the book of alerts cannot be read: %s", type(error).__name__)
        now = self._clock()
        return State.SILENCED if any(silence.matches(alert, now) for silence in self._silences) else None

    async def note(self, record: Record) -> None:
        """Remember how it stands, if the store is there."""
        try:
            if await self._shelf.put("alerts", record.alert.id, record.text()) > MOST:
                await self._trim("alerts", MOST)
        except self._away as error:
            log.debug("the book of alerts cannot be written: %s", type(error).__name__)

    async def bury(self, record: Record) -> None:
        """Keep a dead letter; waits for a store that is away, so that none is lost."""
        pause = FIRST_PAUSE
        while True:
            try:
                self.dead = await self._shelf.put("dead", record.alert.id, record.text())
                if self.dead > MOST_DEAD:
                    log.error("more than %d alerts were given up; the oldest are forgotten", MOST_DEAD)
                    await self._trim("dead", MOST_DEAD)
                return
            except self._away as error:
                log.debug("a dead letter cannot be written: %s", type(error).__name__)
            await self._sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    async def unbury(self, record: Record) -> None:
        """It has ended otherwise since: it was sent again, or by a gateway that took it over."""
        try:
            await self._shelf.remove("dead", record.alert.id)
            self.dead = await self._shelf.size("dead")
        except self._away as error:
            log.debug("the book of alerts cannot be written: %s", type(error).__name__)

    async def count_dead(self) -> None:
        """Ask how many letters there are; other gateways bury too."""
        try:
            self.dead = await self._shelf.size("dead")
        except self._away as error:
            log.debug("the book of alerts cannot be read: %s", type(error).__name__)

    # --- for people: raises what the shelf raises

    async def records(self) -> list[Record]:
        """Dead letters, and the latest of all alerts, newest first."""
        texts = {**await self._shelf.all("alerts"), **await self._shelf.all("dead")}
        said = await self._shelf.all("acknowledged")
        found = [_overlaid(Record.parse(text), said.get(name)) for name, text in texts.items()]
        return sorted(found, key=lambda record: record.alert.raised_at, reverse=True)

    async def record(self, alert_id: str) -> Record | None:
        """One of them."""
        text = await self._shelf.get("dead", alert_id) or await self._shelf.get("alerts", alert_id)
        said = await self._shelf.get("acknowledged", alert_id)
        return None if text is None else _overlaid(Record.parse(text), said)

    async def acknowledge(self, alert_id: str, by: str) -> None:
        """Whatever is not delivered is not tried any more, by any gateway."""
        await self._shelf.put("acknowledged", alert_id, json.dumps({"at": self._clock(), "by": by}))
        await self._shelf.remove("dead", alert_id)
        await self.count_dead()

    async def take_back(self, alert_id: str) -> None:
        """What was said of it does not hold any more."""
        await self._shelf.remove("acknowledged", alert_id)

    async def silences(self) -> tuple[Silence, ...]:
        """Those that hold; others are removed."""
        found = {name: Silence(*json.loads(text)) for name, text in (await self._shelf.all("silences")).items()}
        over = [name for name, silence in found.items() if silence.until <= self._clock()]
        if over:
            await self._shelf.remove("silences", *over)
        self._silences = tuple(silence for name, silence in found.items() if name not in over)
        return self._silences

    async def silence(self, silence: Silence) -> None:
        """Begins at once here, and within a second elsewhere."""
        await self._shelf.put("silences", silence.id, json.dumps(silence))
        await self.silences()

    async def unsilence(self, silence_id: str) -> bool:
        """Whether there was such a silence."""
        known = await self._shelf.get("silences", silence_id) is not None
        await self._shelf.remove("silences", silence_id)
        await self.silences()
        return known

    async def _learn(self) -> None:
        if self._clock() - self._asked >= FRESH:
            self._asked = self._clock()  # others need not ask meanwhile
            await self.silences()

    async def _trim(self, page: str, most: int) -> None:
        """A tenth goes, so that the next look at the whole page is a while off."""
        records = [Record.parse(text) for text in (await self._shelf.all(page)).values()]
        records.sort(key=lambda record: (record.state is State.WAITING, record.at))
        names = [record.alert.id for record in records[: max(0, len(records) - most * 9 // 10)]]
        if names:
            await self._shelf.remove(page, *names)
            await self._shelf.remove("acknowledged", *names)


def _overlaid(record: Record, said: str | None) -> Record:
    """With what a person said of it, which no gateway's note undoes."""
    if said is not None:
        words: Mapping[str, Any] = json.loads(said)
        record.state, record.at, record.by = State.ACKNOWLEDGED, words["at"], words["by"]
    return record
