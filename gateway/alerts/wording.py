"""An alert in words and as the JSON that channels send."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from gateway.model import Alert

TYPE = "usage.threshold_reached"


def text_of(alert: Alert) -> str:
    """As 3scale words it, with the real use: `hits per minute: 8/10 (80 %)`."""
    return f"{alert.metric} per {alert.period}: {alert.spent}/{alert.value} ({percent(alert)} %)"


def percent(alert: Alert) -> int:
    """The use in whole percent of the limit, rounded down."""
    return alert.spent * 100 // alert.value if alert.value else 100


def rfc3339(seconds: float) -> str:
    """Unix seconds as `2026-11-01T12:00:00.000Z`."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def event_of(alert: Alert) -> dict[str, Any]:
    """The body of a webhook, in Standard Webhooks' form.

    `threshold` is the percentage that was reached, `limit` and `used` are units of `metric`, `window.end` is null for
    eternity. `timestamp` is when the threshold was reached. The same event may come again: its `id` stays.
    """
    end = None if alert.window_end is None else rfc3339(alert.window_end)
    return {
        "type": TYPE,
        "timestamp": rfc3339(alert.raised_at),
        "data": {
            "id": alert.id,
            "application": alert.application,
            "plan": alert.plan,
            "metric": alert.metric,
            "period": alert.period,
            "threshold": alert.bin,
            "limit": alert.value,
            "used": alert.spent,
            "percent": percent(alert),
            "window": {"start": rfc3339(alert.window_start), "end": end},
            "text": text_of(alert),
        },
    }
