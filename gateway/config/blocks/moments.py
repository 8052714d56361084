"""Points in time, as files write them."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from typing import Annotated

from gateway.config.blocks.scalar import Scalar
from gateway.config.problems import Complaint

WHAT = "a date such as 2026-12-31, or a time such as 2026-12-31T18:00+01:00"
_DATE = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_TIME = rf"{_DATE}T[0-9]{{2}}:[0-9]{{2}}(:[0-9]{{2}})?(Z|[+-][0-9]{{2}}:[0-9]{{2}})?"


def moment(text: str) -> float:
    """Unix seconds of a date's beginning in UTC, or of a time with its offset (RFC 3339); raises ValueError."""
    if re.fullmatch(_DATE, text, re.ASCII):
        day = date.fromisoformat(text)
        return datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()
    if not re.fullmatch(_TIME, text, re.ASCII):
        raise ValueError(text)
    time = datetime.fromisoformat(text)
    if time.tzinfo is None:
        raise Complaint("says no offset from UTC; end it with Z, or as +01:00", shown=text)
    return time.timestamp()


_DAYS = r"([1-9][0-9]{0,3})d"


def _days(text: str) -> float:
    found = re.fullmatch(_DAYS, text, re.ASCII)
    if found is None:
        raise ValueError(text)
    return int(found[1]) * 86_400.0


Days = Annotated[float, Scalar("a number of days such as 30d", _days, {"type": "string", "pattern": f"^{_DAYS}$"})]
Moment = Annotated[float, Scalar(WHAT, moment, {"type": "string", "pattern": f"^({_DATE}|{_TIME})$"})]
