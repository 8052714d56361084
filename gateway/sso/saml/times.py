"""Times as SAML writes them (core 1.3.3): xs:dateTime in UTC."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from gateway.sso.saml.refusals import SamlRefused

SKEW = 60.0  # seconds that the clocks of provider and gateway may differ
_FORM = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})(\.[0-9]{1,12})?Z")


def read(value: str, name: str) -> float:
    """Unix seconds. `name` is what messages call it."""
    found = _FORM.fullmatch(value)
    try:
        if found is None:
            raise ValueError(value)
        whole = datetime.strptime(found[1], "%Y-%m-%dT%H:%M:%S").replace(tzinfo=UTC).timestamp()
    except ValueError:
        raise SamlRefused("time_malformed", f"{name} is not a time in UTC, as 2026-01-31T12:00:00Z") from None
    return whole + float(found[2] or 0)


def write(seconds: float) -> str:
    """To the second."""
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def check_started(value: str | None, name: str, now: float) -> None:
    """NotBefore, or a time at which something was made, is not ahead."""
    if value is not None and read(value, name) > now + SKEW:
        raise SamlRefused("not_yet_valid", f"{name} is in the future")


def check_running(value: str | None, name: str, now: float) -> None:
    """NotOnOrAfter is ahead."""
    if value is not None and read(value, name) <= now - SKEW:
        raise SamlRefused("expired", f"{name} has passed")
