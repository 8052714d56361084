"""How many a limit refused is told with its 100 % alert, and once more when its window has ended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from gateway.alerts.closings import Closings
from gateway.alerts.outbox import MemoryOutbox
from gateway.alerts.shelf import AWAY, MemoryShelf
from gateway.model import Alert, Limit, Period
from gateway.quota.crossings import alert as crossing
from gateway.quota.periods import window
from gateway.quota.refusals import Refusals
from gateway.store import StoreAway, keys

Make = Callable[..., Alert]


class Shelf(MemoryShelf):
    """In memory; `away` as a store that does not answer."""

    away = False

    async def get(self, page: str, name: str) -> str | None:
        if self.away:
            raise StoreAway("it does not answer")
        return await super().get(page, name)

    async def put(self, page: str, name: str, text: str) -> int:
        if self.away:
            raise StoreAway("it does not answer")
        return await super().put(page, name, text)


class Stand:
    def __init__(self, clock: Any) -> None:
        self.shelf, self.outbox = Shelf(clock), MemoryOutbox()
        self.mine = True
        self.closings = Closings(self.shelf, self.outbox, clock=clock, sleep=clock.sleep, turn=self.turn, away=AWAY)

    async def turn(self) -> bool:
        return self.mine

    async def pushed(self) -> list[Alert]:
        return [entry.alert for entry in await self.outbox.read(10, 0.0)]


@pytest.fixture
def stand(clock: Any) -> Stand:
    return Stand(clock)


@pytest.fixture
def full(make_alert: Make) -> Alert:
    """The 100 % alert of a limit that refuses; its window has 40 s to go."""
    return make_alert("f00d-100", bin=100, spent=10, rejects=True)


def name_of(alert: Alert) -> str:
    return f"f00d:{int(alert.window_end or 0)}"


async def test_the_end_of_a_window_is_told_once_with_what_was_refused(stand: Stand, full: Alert, clock: Any) -> None:
    await stand.closings.expect(full)
    await stand.closings.add({name_of(full): 2})
    assert (await stand.closings.filled(full)).refused == 2
    await stand.closings.look()
    assert await stand.pushed() == []
    await stand.closings.add({name_of(full): 5})
    await clock.advance(40.0 + 3.0)
    await stand.closings.look()
    (closed,) = await stand.pushed()
    assert closed == full._replace(id="f00d-closed", kind="closed", refused=7, raised_at=clock.now)
    assert await stand.closings.filled(closed) == closed
    await stand.closings.look()
    assert await stand.pushed() == []
    await stand.closings.expect(full)  # by a gateway that found the alert undelivered at its start
    await clock.advance(7_200.0)
    await stand.closings.look()
    assert (await stand.pushed(), await stand.shelf.all("closing")) == ([], {})


async def test_a_window_in_which_nothing_was_refused_ends_in_silence(stand: Stand, full: Alert, clock: Any) -> None:
    await stand.closings.expect(full)
    await clock.advance(7_200.0)
    await stand.closings.look()
    assert (await stand.pushed(), await stand.shelf.all("closing")) == ([], {})


@pytest.mark.parametrize("changes", [{"bin": 80}, {"rejects": False}, {"window_end": None}])
async def test_other_alerts_tell_no_refusals(stand: Stand, full: Alert, changes: dict[str, Any]) -> None:
    alert = full._replace(**changes)
    await stand.closings.expect(alert)
    assert await stand.closings.filled(alert) == alert
    assert await stand.shelf.all("closing") == {}


async def test_one_gateway_looks_at_a_time(stand: Stand, full: Alert, clock: Any) -> None:
    await stand.closings.expect(full)
    await stand.closings.add({name_of(full): 1})
    running = asyncio.create_task(stand.closings.run())
    stand.mine = False
    await clock.run_until(lambda: clock.now > (full.window_end or 0) + 20)
    assert await stand.pushed() == []
    stand.mine = True
    await clock.run_until(lambda: stand.outbox._waiting)
    running.cancel()
    assert len(await stand.pushed()) == 1


async def test_a_store_that_is_away_stops_no_delivery(stand: Stand, full: Alert) -> None:
    stand.shelf.away = True
    await stand.closings.expect(full)
    assert await stand.closings.filled(full) == full


async def test_workers_and_alerts_mean_the_same_counter() -> None:
    limit = Limit(plan="gold", period=Period.DAY, zone="Europe/Berlin", value=5, bins=(80, 100))
    here = window(Period.DAY, "Europe/Berlin", 1_792_900_000.0)
    assert here.end is not None and here.end - here.start == 25 * 3600  # clocks were set back
    key = keys.counter(keys.counters("gw", "mobile", limit, "Europe/Berlin"), here.start)
    told: list[dict[str, int]] = []

    async def tell(counts: Any) -> None:
        if len(told) == 0:
            told.append({})
            raise StoreAway("it does not answer")
        told.append(dict(counts))

    refusals = Refusals("gw", tell, AWAY)
    for _ in range(3):
        refusals.count("mobile", limit, here.end)
    refusals.count("mobile", limit, None)
    refusals.count("mobile", Limit(plan="gold", period=Period.DAY, value=5, bins=(80,)), here.end)
    await refusals.report()
    refusals.count("mobile", limit, here.end)
    await refusals.report()
    await refusals.report()
    alert = crossing("mobile", limit, key, here, 100, 5, here.start + 10)
    assert alert.rejects
    shelf = Shelf(lambda: here.start)
    closings = Closings(shelf, MemoryOutbox(), clock=lambda: 0.0, sleep=None, turn=None)  # type: ignore[arg-type]
    for counts in told:
        await closings.add(counts)
    assert (await closings.filled(alert)).refused == 4
