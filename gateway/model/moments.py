"""Points in time that the files declare."""

from __future__ import annotations

from datetime import UTC, datetime


class Moment(float):
    """Unix seconds, said as RFC 3339."""

    __slots__ = ()

    def __str__(self) -> str:
        return datetime.fromtimestamp(self, UTC).isoformat().replace("+00:00", "Z")
