"""How long a certificate is still good."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from gateway.doctor.finding import Finding, ok, problem, warning

SOON = timedelta(days=30)


def validity(about: str, start: datetime | None, end: datetime, now: datetime) -> Finding:
    """Of a certificate that is valid from `start` to `end`."""
    until = end.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")
    if end <= now:
        return problem(about, f"expired on {until}: replace it")
    if start is not None and now < start:
        return problem(
            about, f"is not valid before {start.astimezone(UTC):%Y-%m-%d %H:%M UTC}; is this machine's clock right?"
        )
    if end - now < SOON:
        return warning(about, f"expires in {(end - now).days} days, on {until}: replace it before")
    return ok(about, f"is valid until {until}")
