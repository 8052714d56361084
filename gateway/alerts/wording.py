"""An alert in words and as the JSON that channels send."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from gateway.model import Alert, AlertKind

TYPES: dict[str, str] = {
    AlertKind.THRESHOLD: "usage.threshold_reached",
    AlertKind.CLOSED: "usage.window_closed",
    AlertKind.FORECAST: "usage.forecast",
}
SHORTEST = 86_400.0 - 3_600.0  # seconds of a window of which there are forecasts: a day, also in spring
SOONEST = 3_600.0  # seconds after its beginning from when on there are some
TEST_TYPE = "usage.test"
TEST = "test-"  # what the ids of alerts begin with that only try a channel


def text_of(alert: Alert) -> str:
    """As 3scale words it, with the real use: `hits per minute: 8/10 (80 %)`."""
    used = f"{alert.metric} per {alert.period}: {alert.spent}/{alert.value} ({percent(alert)} %)"
    if alert.refused:
        used += f", {alert.refused} refused"
    if alert.kind == AlertKind.CLOSED:
        used += " until its window ended"
    at = forecast_of(alert)
    if at is not None:
        used += f"; at this rate all is used by {datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M} UTC"
    return f"a test, nothing was reached: {used}" if alert.id.startswith(TEST) else used


def forecast_of(alert: Alert) -> float | None:
    """When all will be used at the rate of the window so far, in Unix seconds; None: not in this window, or too early
    to say, or the window is shorter than a day.
    """
    end, passed = alert.window_end, alert.raised_at - alert.window_start
    long = end is not None and end - alert.window_start >= SHORTEST
    if end is None or not long or passed < SOONEST or not 0 < alert.spent < alert.value:
        return None
    at = alert.window_start + passed * alert.value / alert.spent
    return at if at < end else None


def headline(alerts: Sequence[Alert]) -> str:
    """A line for one or for many; safe in a mail's header."""
    if len(alerts) == 1:
        return line_of(alerts[0])
    scopes = {alert.application for alert in alerts}
    about = printable(next(iter(scopes))) if len(scopes) == 1 else f"{len(scopes)} applications"
    return f"{len(alerts)} alerts of {about}"


def digest(alerts: Sequence[Alert]) -> str:
    """A paragraph for each, with its window."""
    return "\n\n".join(map(_paragraph, alerts)) + "\n"


def line_of(alert: Alert) -> str:
    """Whose use, and how much: `mobile: hits per minute: 8/10 (80 %)`."""
    return printable(f"{alert.application}: {text_of(alert)}")


def printable(text: str) -> str:
    """Names that clients bring (subjects of tokens) may hold anything; here they hold nothing that commands."""
    return "".join(character if character.isprintable() else "\ufffd" for character in text)


def _paragraph(alert: Alert) -> str:
    end = "for ever" if alert.window_end is None else f"to {rfc3339(alert.window_end)}"
    return (
        f"{line_of(alert)}\n"
        f"plan {alert.plan}, {_why(alert)} {rfc3339(alert.raised_at)}\n"
        f"window from {rfc3339(alert.window_start)} {end}\n"
        f"alert {alert.id}"
    )


def _why(alert: Alert) -> str:
    if alert.kind == AlertKind.FORECAST:
        return "forecast of"
    return "window ended before" if alert.kind == AlertKind.CLOSED else f"threshold {alert.bin} %, reached"


def percent(alert: Alert) -> int:
    """The use in whole percent of the limit, rounded down."""
    return alert.spent * 100 // alert.value if alert.value else 100


def rfc3339(seconds: float) -> str:
    """Unix seconds as `2026-11-01T12:00:00.000Z`."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def event_of(alert: Alert) -> dict[str, Any]:
    """The body of a webhook, in Standard Webhooks' form.

    `threshold` is the percentage that was reached, `limit` and `used` are units of `metric`, `window.end` is null for
    eternity. `refused` are requests, null where that is not counted; `forecast` is when all will be used at this rate,
    null where that is not in this window. `timestamp` is when it was raised. The same event may come again: its `id`
    stays.
    """
    end = None if alert.window_end is None else rfc3339(alert.window_end)
    forecast = forecast_of(alert)
    return {
        "type": TEST_TYPE if alert.id.startswith(TEST) else TYPES[alert.kind],
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
            "refused": alert.refused,
            "forecast": None if forecast is None else rfc3339(forecast),
            "window": {"start": rfc3339(alert.window_start), "end": end},
            "text": text_of(alert),
        },
    }
