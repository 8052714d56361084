"""What is told of a limit that refused, when it is told and again when its window has ended: how many it refused."""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from math import ceil

from gateway.alerts.outbox import Outbox
from gateway.alerts.shelf import Shelf
from gateway.model import Alert, AlertKind

EVERY = 5.0  # seconds between looks at what has ended
LATE = 3.0  # seconds after a window's end in which workers may still report
HOUR = 3_600  # seconds; what is kept lies in pages by the hour in which windows end
KEPT = HOUR  # after which nobody asks for counts any more
REACHED = 100  # percent: what is told is told at this bin

log = logging.getLogger(__name__)


class Closings:
    """Shared by all gateways of a store. `turn` says whether this one looks now; `away` are what shelf and outbox raise
    while the store cannot be asked.
    """

    def __init__(
        self,
        shelf: Shelf,
        outbox: Outbox,
        *,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[object]],
        turn: Callable[[], Awaitable[bool]],
        away: tuple[type[Exception], ...] = (),
    ) -> None:
        self._shelf = shelf
        self._outbox = outbox
        self._clock = clock
        self._sleep = sleep
        self._turn = turn
        self._away = away

    async def add(self, counts: Mapping[str, int]) -> None:
        """See `add_refused`."""
        await add_refused(self._shelf, counts)

    async def expect(self, alert: Alert) -> None:
        """Tell once more when its window has ended."""
        if _concerns(alert) and alert.kind == AlertKind.THRESHOLD:
            try:
                hour = int(alert.window_end or 0) // HOUR
                await self._shelf.put(f"closing:{hour}", alert.id, json.dumps(alert))
                await self._shelf.put("closing", str(hour), "")
            except self._away as error:
                log.debug("the end of a window will not be told: %s", error)

    async def filled(self, alert: Alert) -> Alert:
        """With how many were refused so far, where that is known."""
        if not _concerns(alert) or alert.kind == AlertKind.CLOSED:
            return alert
        try:
            return alert._replace(refused=await self._refused(alert))
        except self._away:
            return alert

    async def run(self) -> None:
        """Look on, for good."""
        while True:
            await self._sleep(EVERY)
            try:
                if await self._turn():
                    await self.look()
            except self._away as error:
                log.debug("ended windows cannot be looked for: %s", error)

    async def look(self) -> None:
        """Put into the outbox what has ended and refused something; that is there again where it ends between."""
        now = self._clock()
        for hour in await self._shelf.all("closing"):  # in which windows end
            if int(hour) * HOUR + LATE <= now:
                await self._look_at(hour, now)

    async def _look_at(self, hour: str, now: float) -> None:
        page = f"closing:{hour}"
        for text in (await self._shelf.all(page)).values():
            alert = Alert(*json.loads(text))
            if alert.window_end is not None and now >= alert.window_end + LATE:
                await self._close(alert, now)
                await self._shelf.remove(page, alert.id)
        if now >= (int(hour) + 1) * HOUR + LATE and not await self._shelf.size(page):
            await self._shelf.remove("closing", hour)

    async def _close(self, alert: Alert, now: float) -> None:
        refused = await self._refused(alert)
        if refused:
            name = f"{alert.id.rpartition('-')[0]}-{AlertKind.CLOSED}"
            ended = alert._replace(id=name, kind=AlertKind.CLOSED.value, refused=refused, raised_at=now)
            await self._outbox.send_again(ended)
            await self._shelf.remove(*_place(alert))  # told: whoever expects it again finds nothing

    async def _refused(self, alert: Alert) -> int:
        return int(await self._shelf.get(*_place(alert)) or 0)


async def add_refused(shelf: Shelf, counts: Mapping[str, int]) -> None:
    """So many more were refused, by counter and window. Raises what the shelf raises."""
    pages: dict[int, dict[str, int]] = {}
    for name, count in counts.items():
        pages.setdefault(int(name.partition(":")[2]) // HOUR, {})[name] = count
    for hour, some in pages.items():
        await shelf.add(f"refused:{hour}", some, (hour + 1) * HOUR + KEPT)


def _concerns(alert: Alert) -> bool:
    return alert.rejects and alert.bin == REACHED and alert.window_end is not None


def _place(alert: Alert) -> tuple[str, str]:
    """The page of its window's counts, and the name there: as the workers name a counter and its window."""
    end = ceil(alert.window_end or 0)
    return f"refused:{end // HOUR}", f"{alert.id.rpartition('-')[0]}:{end}"
