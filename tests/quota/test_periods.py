"""Calendar windows, in UTC and in zones with odd clocks."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib.resources import files
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.model import Period
from gateway.quota.periods import window, zone_info, zone_of

ZONES = sorted(files("tzdata").joinpath("zones").read_text().split())
ODD = [
    "America/Sao_Paulo",  # set its clocks forward at midnight
    "America/St_Johns",  # set them back at 00:01, and is half an hour off
    "Africa/Cairo",
    "America/Havana",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",  # daylight saving of half an hour
    "Pacific/Apia",  # had no 30 December 2011
    "Pacific/Kwajalein",  # had no 21 August 1993
]
MOMENTS = st.floats(min_value=0, max_value=4_000_000_000, allow_nan=False)


def at(text: str, zone: str = "UTC") -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()


def local(instant: float | None, zone: str) -> str:
    assert instant is not None
    return datetime.fromtimestamp(instant, ZoneInfo(zone)).isoformat(" ", "minutes")


@pytest.mark.parametrize(
    ("period", "start", "end"),
    [
        (Period.SECOND, "2026-07-29T13:45:59", "2026-07-29T13:46:00"),
        (Period.MINUTE, "2026-07-29T13:45:00", "2026-07-29T13:46:00"),
        (Period.HOUR, "2026-07-29T13:00:00", "2026-07-29T14:00:00"),
        (Period.DAY, "2026-07-29T00:00:00", "2026-07-30T00:00:00"),
        (Period.WEEK, "2026-07-27T00:00:00", "2026-08-03T00:00:00"),  # from Monday
        (Period.MONTH, "2026-07-01T00:00:00", "2026-08-01T00:00:00"),
        (Period.YEAR, "2026-01-01T00:00:00", "2027-01-01T00:00:00"),
    ],
)
def test_windows_in_utc(period: Period, start: str, end: str) -> None:
    assert window(period, "UTC", at("2026-07-29T13:45:59.5")) == (at(start), at(end))


def test_eternity_never_ends() -> None:
    assert window(Period.ETERNITY, "Europe/Berlin", at("2026-07-29")) == (0.0, None)


def test_the_end_is_exclusive() -> None:
    midnight = at("2026-07-29")
    assert window(Period.DAY, "UTC", midnight).start == midnight
    assert window(Period.DAY, "UTC", midnight - 0.001).end == midnight


def test_a_day_follows_its_zone_an_hour_does_not() -> None:
    moment = at("2026-07-29T23:10", "Asia/Kathmandu")  # 5:45 ahead
    assert local(window(Period.DAY, "Asia/Kathmandu", moment).start, "Asia/Kathmandu") == "2026-07-29 00:00+05:45"
    assert window(Period.HOUR, "Asia/Kathmandu", moment) == window(Period.HOUR, "UTC", moment)
    assert zone_of(Period.HOUR, "Asia/Kathmandu") == zone_of(Period.ETERNITY, "Asia/Kathmandu") == "UTC"
    assert zone_of(Period.DAY, "Asia/Kathmandu") == "Asia/Kathmandu"


@pytest.mark.parametrize(("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25), ("2026-07-29", 24)])
def test_daylight_saving_makes_days_of_23_and_25_hours(day: str, hours: int) -> None:
    start, end = window(Period.DAY, "Europe/Berlin", at(f"{day}T12:00", "Europe/Berlin"))
    assert end is not None
    assert end - start == hours * 3600


def test_a_week_and_a_month_over_daylight_saving() -> None:
    moment = at("2026-03-29T12:00", "Europe/Berlin")
    week, month = (window(period, "Europe/Berlin", moment) for period in (Period.WEEK, Period.MONTH))
    assert local(week.start, "Europe/Berlin") == "2026-03-23 00:00+01:00"
    assert local(week.end, "Europe/Berlin") == "2026-03-30 00:00+02:00"
    assert local(month.start, "Europe/Berlin") == "2026-03-01 00:00+01:00"
    assert local(month.end, "Europe/Berlin") == "2026-04-01 00:00+02:00"


def test_a_skipped_midnight_starts_the_day_at_one() -> None:
    start = window(Period.DAY, "America/Sao_Paulo", at("2018-11-04T12:00", "America/Sao_Paulo")).start
    assert local(start, "America/Sao_Paulo") == "2018-11-04 01:00-02:00"


def test_a_gap_that_straddles_midnight_starts_the_day_at_its_end() -> None:
    zone = "America/Scoresbysund"  # 2024-03-31: 24 hours before its last change to UTC-2
    start, end = window(Period.DAY, zone, at("2024-03-31T12:00", zone))
    assert local(start - 1, zone).startswith("2024-03-30")
    assert local(end, zone).startswith("2024-04-01 00:00")
    toronto = window(Period.DAY, "America/Toronto", at("1919-03-31T12:00", "America/Toronto"))
    assert local(toronto.start, "America/Toronto") == "1919-03-31 00:30-04:00"


def test_a_day_that_never_was_belongs_to_nobody() -> None:
    before = window(Period.DAY, "Pacific/Apia", at("2011-12-29T12:00", "Pacific/Apia"))
    after = window(Period.DAY, "Pacific/Apia", at("2011-12-31T12:00", "Pacific/Apia"))
    assert before.end == after.start
    assert before.end - before.start == 24 * 3600


def test_clocks_set_back_over_midnight_do_not_reopen_the_day_before() -> None:
    zone = "America/St_Johns"  # at 00:01 on 7 November 2010 it was 23:01 of the 6th again
    midnight = window(Period.DAY, zone, at("2010-11-07T12:00", zone)).start
    again = midnight + 60
    assert local(again, zone) == "2010-11-06 23:01-03:30"
    assert window(Period.DAY, zone, again).start == midnight


@pytest.mark.parametrize("name", ["Mars/Base", "../etc/passwd", "/etc/localtime", "", "Europe", "Europe/"])
def test_an_unknown_zone_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is not a time zone"):
        zone_info(name)


@given(period=st.sampled_from(Period), zone=st.sampled_from(ODD) | st.sampled_from(ZONES), moment=MOMENTS)
def test_windows_tile_time(period: Period, zone: str, moment: float) -> None:
    here = window(period, zone, moment)
    assert here.start <= moment
    assert window(period, zone, here.start) == here
    if here.end is not None:
        assert moment < here.end
        assert window(period, zone, here.end).start == here.end
        assert window(period, zone, here.end - 0.001) == here


@given(
    period=st.sampled_from([Period.DAY, Period.WEEK, Period.MONTH, Period.YEAR]),
    zone=st.sampled_from(ODD),
    year=st.integers(1970, 2040),
)
def test_windows_tile_the_odd_years_end_to_end(period: Period, zone: str, year: int) -> None:
    moment, last = at(f"{year}-01-01"), at(f"{year + 1}-01-01")
    while moment < last:
        here = window(period, zone, moment)
        assert here.start <= moment < here.end
        assert window(period, zone, here.end - 1) == here
        moment = here.end


def test_utc_shortcuts_agree_with_the_calendar() -> None:
    for period in (Period.DAY, Period.WEEK):
        for day in range(1, 29):
            moment = datetime(2024, 2, day, 13, tzinfo=UTC).timestamp()
            assert window(period, "UTC", moment) == window(period, "Africa/Abidjan", moment)
