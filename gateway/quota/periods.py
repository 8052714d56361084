"""Calendar windows: where a limit's period begins and ends.

Second, minute and hour are UTC; day and longer follow the limit's zone. Windows of a period tile time: each
instant is in exactly one, also where a zone repeats an hour, skips midnight, or skips a whole day.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from functools import cache
from importlib.resources import files
from typing import NamedTuple
from zoneinfo import ZoneInfo

from gateway.model import Period

DAY = 86_400
WEEK = 7 * DAY
MONDAY = 4 * DAY  # the first Monday after the epoch, a Thursday

SECONDS = {Period.SECOND: 1, Period.MINUTE: 60, Period.HOUR: 3_600, Period.DAY: DAY}  # of those that are equally long
ZONED = frozenset({Period.DAY, Period.WEEK, Period.MONTH, Period.YEAR})


class Window(NamedTuple):
    """[start, end) in Unix seconds; `end` is None for eternity, which starts at 0."""

    start: float
    end: float | None


def window(period: Period, zone: str, at: float) -> Window:
    """The window of `period` that holds the instant `at` (Unix seconds); raises ValueError for an unknown zone."""
    if period is Period.ETERNITY:
        return Window(0.0, None)
    if period not in ZONED:
        return _every(SECONDS[period], 0, at)
    if zone == "UTC" and period is Period.DAY:
        return _every(DAY, 0, at)
    if zone == "UTC" and period is Period.WEEK:
        return _every(WEEK, MONDAY, at)
    return _of_calendar(period, zone_info(zone), at)


def zone_of(period: Period, zone: str) -> str:
    """The zone that matters to windows of `period`."""
    return zone if period in ZONED else "UTC"


@cache
def zone_info(name: str) -> ZoneInfo:
    """The zone's rules from the pinned tzdata package, so that all gateways agree; raises ValueError."""
    if not all(part.replace("_", "").replace("-", "").replace("+", "").isalnum() for part in name.split("/")):
        raise ValueError(f"{name!r} is not a time zone")
    try:
        with files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as rules:
            return ZoneInfo.from_file(rules, key=name)
    except (OSError, ValueError) as error:
        raise ValueError(f"{name!r} is not a time zone (write one as Europe/Berlin)") from error


def _every(seconds: int, offset: int, at: float) -> Window:
    start = (at - offset) // seconds * seconds + offset
    return Window(float(start), float(start + seconds))


def _of_calendar(period: Period, zone: ZoneInfo, at: float) -> Window:
    following = NEXT[period]
    first = FIRST[period](datetime.fromtimestamp(at, zone).date())
    start, end = _midnight(first, zone), _midnight(following(first), zone)
    while at >= end:  # clocks set back over midnight: the new day has begun, its second midnight changes nothing
        first = following(first)
        start, end = end, _midnight(following(first), zone)
    return Window(start, end)


def _midnight(day: date, zone: ZoneInfo) -> float:
    """The first instant of `day`; of the next that exists, where the zone skips it."""
    naive = datetime.combine(day, time())
    start = naive.replace(tzinfo=zone).timestamp()
    if datetime.fromtimestamp(start, zone).replace(tzinfo=None) == naive:
        return start
    before = int(naive.replace(tzinfo=zone, fold=1).timestamp())  # in a gap, fold 1 is before it and fold 0 after
    after = int(start)
    while after - before > 1:
        middle = (before + after) // 2
        if datetime.fromtimestamp(middle, zone).date() >= day:
            after = middle
        else:
            before = middle
    return float(after)


def _next_month(first: date) -> date:
    return first.replace(year=first.year + 1, month=1) if first.month == 12 else first.replace(month=first.month + 1)


FIRST: dict[Period, Callable[[date], date]] = {
    Period.DAY: lambda day: day,
    Period.WEEK: lambda day: day - timedelta(days=day.weekday()),
    Period.MONTH: lambda day: day.replace(day=1),
    Period.YEAR: lambda day: day.replace(month=1, day=1),
}
NEXT: dict[Period, Callable[[date], date]] = {
    Period.DAY: lambda first: first + timedelta(days=1),
    Period.WEEK: lambda first: first + timedelta(days=7),
    Period.MONTH: _next_month,
    Period.YEAR: lambda first: first.replace(year=first.year + 1),
}
