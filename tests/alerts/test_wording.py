"""An alert in words and as JSON."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gateway.alerts.wording import event_of, text_of
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
            "window": {"start": "2026-10-26T07:33:00.000Z", "end": "2026-10-26T07:34:00.000Z"},
            "text": "hits per minute: 8/10 (80 %)",
        },
    }


def test_eternity_has_no_end(make_alert: Callable[..., Alert]) -> None:
    assert event_of(make_alert(period="eternity", window_end=None))["data"]["window"]["end"] is None
