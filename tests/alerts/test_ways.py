"""Bursts go together, and nobody is woken in quiet hours."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from gateway.alerts.channels import NotDelivered
from gateway.alerts.ways import AT_ONCE, Lane, Way, quiet_for
from gateway.destinations import Quiet
from gateway.model import Alert

Make = Callable[..., Alert]
BERLIN = "Europe/Berlin"
NIGHT = Quiet(start=22 * 3600, end=7 * 3600, zone=BERLIN)


def at(text: str, zone: str = BERLIN) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()


@pytest.mark.parametrize(
    ("now", "hours"),
    [
        ("2026-06-01T21:59:59", 0),
        ("2026-06-01T22:00:00", 9),
        ("2026-06-02T00:00:00", 7),
        ("2026-06-02T06:59:59", 1 / 3600),
        ("2026-06-02T07:00:00", 0),
        ("2026-03-28T22:00:00", 8),  # the night in which an hour is left out
        ("2026-10-24T22:00:00", 10),  # and the one in which an hour comes twice
    ],
)
def test_the_night_is_the_clocks_on_the_wall(now: str, hours: float) -> None:
    assert quiet_for(NIGHT, at(now)) == pytest.approx(hours * 3600)


def test_quiet_hours_within_a_day_end_on_that_day() -> None:
    lunch = Quiet(start=12 * 3600, end=13 * 3600 + 1800)
    assert [quiet_for(lunch, at(f"2026-06-01T{time}", "UTC")) for time in ("11:59", "12:00", "13:29", "13:30")] == [
        0,
        5400,
        60,
        0,
    ]


def test_without_quiet_hours_it_is_never_quiet() -> None:
    assert quiet_for(None, 0.0) == 0


class Pigeon:
    """A channel whose messages hold three alerts; it refuses those that hold a poisoned one."""

    name = "pigeon"

    def __init__(self, most: int = 3, *, final: bool = False) -> None:
        self.most = most
        self.final = final
        self.messages: list[list[str]] = []
        self.free = asyncio.Event()
        self.free.set()

    async def send(self, alerts: Sequence[Alert]) -> None:
        self.messages.append([alert.id for alert in alerts])
        await self.free.wait()
        if any(alert.id == "poison" for alert in alerts):
            raise NotDelivered("answered 400", final=self.final)


async def send(way: Way, clock: Any, *alerts: Alert) -> list[NotDelivered | None]:
    async with asyncio.TaskGroup() as group:
        lane = Lane(group.create_task, clock.sleep)
        results = [group.create_task(lane.attempt(way, alert)) for alert in alerts]
        await clock.run_until(lambda: all(result.done() for result in results))
    return [result.result() for result in results]


async def test_what_comes_within_the_batch_goes_in_as_few_messages_as_possible(clock: Any, make_alert: Make) -> None:
    pigeon = Pigeon()
    alerts = [make_alert(f"a{number}") for number in range(7)]
    assert await send(Way(pigeon, batch=30), clock, *alerts) == [None] * 7
    assert pigeon.messages == [["a0", "a1", "a2"], ["a3", "a4", "a5"], ["a6"]]
    assert clock.slept == [30]


async def test_while_a_channel_is_busy_what_waits_gathers(clock: Any, make_alert: Make) -> None:
    pigeon = Pigeon(most=100)
    pigeon.free.clear()
    async with asyncio.TaskGroup() as group:
        lane = Lane(group.create_task, clock.sleep)
        for number in range(AT_ONCE + 50):
            group.create_task(lane.attempt(Way(pigeon), make_alert(f"a{number}")))
            await asyncio.sleep(0.001)
        pigeon.free.set()
    assert [len(message) for message in pigeon.messages] == [1] * AT_ONCE + [50]


async def test_one_alert_that_is_refused_for_good_spoils_no_other(clock: Any, make_alert: Make) -> None:
    alerts = [make_alert("a0"), make_alert("poison"), make_alert("a2")]
    pigeon = Pigeon(final=True)
    assert [str(result) for result in await send(Way(pigeon, batch=1), clock, *alerts)] == [
        "None",
        "answered 400",
        "None",
    ]
    assert pigeon.messages == [["a0", "poison", "a2"], ["a0"], ["poison"], ["a2"]]


async def test_who_gave_up_waiting_is_not_sent(clock: Any, make_alert: Make) -> None:
    pigeon = Pigeon()
    async with asyncio.TaskGroup() as group:
        lane = Lane(group.create_task, clock.sleep)
        gone = group.create_task(lane.attempt(Way(pigeon, batch=5), make_alert("gone")))
        kept = group.create_task(lane.attempt(Way(pigeon, batch=5), make_alert("kept")))
        await asyncio.sleep(0)
        gone.cancel()
        await clock.run_until(kept.done)
    assert pigeon.messages == [["kept"]]
