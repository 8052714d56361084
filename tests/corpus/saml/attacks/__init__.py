"""Every attack by its class."""

from __future__ import annotations

from ..notation import Case
from .later import LATER
from .meaning import ISSUER, PLACE, REQUESTS, STATEMENTS, STATUSES, SUBJECT, TIME
from .octets import OCTETS
from .sealing import SEALING
from .signing import SIGNING
from .wrapping import WRAPPING

CLASSES: dict[str, list[Case]] = {
    "wrapping": WRAPPING,
    "octets": OCTETS,
    "signatures": SIGNING,
    "encryption": SEALING,
    "issuer": ISSUER,
    "place": PLACE,
    "time": TIME,
    "requests": REQUESTS,
    "status": STATUSES,
    "subject": SUBJECT,
    "statements": STATEMENTS,
    "published since 2024": LATER,
}
