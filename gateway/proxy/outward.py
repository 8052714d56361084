"""A request as it is sent on, where that is not as it came."""

from __future__ import annotations

from typing import NamedTuple

from gateway.http.fields import Fields
from gateway.proxy.meter import Meter


class Outward(NamedTuple):
    """Fields and query for the service, and what reads the cost in its answer."""

    fields: Fields
    query: bytes
    meter: Meter | None = None
