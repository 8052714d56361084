"""An alert in words and as JSON."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gateway.alerts.wording import digest, event_of, text_of
from gateway.model import Alert


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({}, "hits per minute: 8/10 (80 %)"),
        ({"metric": "orders.writes", "spent": 815, "value": 1000}, "orders.writes per minute: 815/1000 (81 %)"),
        ({"period": "eternity"}, "hits per eternity: 8/10 (80 %)"),
        ({"bin": 120, "spent": 125, "value": 100}, "hits per minute: 125/100 (125 %)"),
        ({"bin": 80, "spent": 1, "value": 0}, "hits per minute: 1/0 (100 %)"),
    ],
)
def test_the_text_tells_the_real_use(changes: dict[str, object], text: str, make_alert: Callable[..., Alert]) -> None:
    assert text_of(make_alert(**changes)) == text


def test_the_event_is_documented_json(make_alert: Callable[..., Alert]) -> None:
    assert event_of(make_alert(raised_at=1_793_000_000.25)) == {
        "type": "usage.threshold_reached",
        "timestamp": "2026-10-26T07:33:20.250Z",
        "data": {
            "id": "a1",
            "application": "mobile",
            "plan": "gold",
            "metric": "hits",
            "period": "minute",
            "threshold": 80,
            "limit": 10,
            "used": 8,
            "percent": 80,
            "refused": None,
            "forecast": None,
            "window": {"start": "2026-10-26T07:33:00.000Z", "end": "2026-10-26T07:34:00.000Z"},
            "text": "hits per minute: 8/10 (80 %)",
        },
    }


def test_eternity_has_no_end(make_alert: Callable[..., Alert]) -> None:
    assert event_of(make_alert(period="eternity", window_end=None))["data"]["window"]["end"] is None


def test_a_limit_that_refused_says_how_often_and_that_its_window_ended(make_alert: Callable[..., Alert]) -> None:
    full = make_alert(bin=100, spent=10, rejects=True, refused=7)
    assert text_of(full) == "hits per minute: 10/10 (100 %), 7 refused"
    closed = full._replace(kind="closed")
    assert text_of(closed) == "hits per minute: 10/10 (100 %), 7 refused until its window ended"
    assert (event_of(closed)["type"], event_of(closed)["data"]["refused"]) == ("usage.window_closed", 7)
    assert "window ended before 2026-10-26T07:33:20.000Z" in digest([closed])


NOVEMBER = {"period": "month", "window_start": 1_793_491_200.0, "window_end": 1_796_083_200.0, "value": 100}


@pytest.mark.parametrize(
    ("days", "spent", "forecast"),
    [
        (10.0, 50, "2026-11-21T00:00:00.000Z"),
        (10.0, 33, None),  # not in this month
        (10.0, 100, None),  # all is used
        (0.02, 50, None),  # too early to say
    ],
)
def test_at_this_rate(days: float, spent: int, forecast: str | None, make_alert: Callable[..., Alert]) -> None:
    alert = make_alert(**NOVEMBER, spent=spent, raised_at=NOVEMBER["window_start"] + days * 86_400)
    assert event_of(alert)["data"]["forecast"] == forecast
    told = "; at this rate all is used by 2026-11-21 00:00 UTC"
    assert text_of(alert).endswith(told) is (forecast is not None)


def test_windows_shorter_than_a_day_have_no_forecast(make_alert: Callable[..., Alert]) -> None:
    hour = {"window_start": 0.0, "window_end": 3_600.0, "raised_at": 3_599.0}
    assert event_of(make_alert(**hour))["data"]["forecast"] is None
