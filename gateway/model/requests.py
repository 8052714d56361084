"""What a request uses, and what becomes of a counter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from gateway.model.charging import Measure, Place
from gateway.model.conditions import Require
from gateway.model.plans import Limit
from gateway.model.services import Service

NOTHING: Mapping[str, int] = {}
USAGE_PAGE = ".usage"  # the page on which clients read their own usage; no upstream has such a name


@dataclass(frozen=True, slots=True, eq=False)
class Route:
    """A service and the usage of one combination of its rules, shared by all requests that match it.

    `usage` is rolled up: a metric's amount is in each of its ancestors too. `template` names the patterns
    that matched, for logs. `requires` is what the service and those rules ask of an identity. `unsure` are metrics of
    which the answer says how much was used in the end.
    """

    service: Service
    usage: Mapping[str, int]
    template: str
    requires: tuple[Require, ...] = ()
    page: str | None = None  # of the gateway's own, which answers in place of an upstream
    unsure: frozenset[str] = frozenset()
    measures: tuple[Measure, ...] = ()  # where answers say it

    def charged(self, status: int, found: Mapping[Place, int] | None = None) -> Mapping[str, int]:
        """What is charged when the answer has this status (0: the client left before), and says so much."""
        if not self.service.charge.takes(status):
            return NOTHING
        if not found:
            return self.usage
        usage = dict(self.usage)
        for measure in self.measures:
            more = found.get(measure.place, measure.reserve) - measure.reserve
            for metric in self.service.with_ancestors(measure.metric):
                usage[metric] += more
        return usage


class Charge(NamedTuple):
    """What one request costs a limit. `reserved`: what it costs in the end is known when the request has ended."""

    limit: Limit
    cost: int
    reserved: bool = False


class AlertKind(StrEnum):
    """What an alert tells of."""

    THRESHOLD = "threshold"  # a bin was reached
    CLOSED = "closed"  # the window of a limit that refused has ended
    FORECAST = "forecast"  # at this rate all will be used before the window ends


class Alert(NamedTuple):
    """A counter crossed a bin. `id` is a hash of (counter, bin): the same however often it is delivered.

    `rejects`: the limit refuses what is over it; `refused` is how many requests it had when this was told, where known.
    """

    id: str
    application: str  # the scope that was counted
    plan: str
    metric: str  # `service.metric` for a service's own
    period: str
    bin: int  # percent
    value: int
    spent: int
    window_start: float  # Unix seconds
    window_end: float | None  # None: eternity
    raised_at: float
    rejects: bool = False
    refused: int | None = None
    kind: str = AlertKind.THRESHOLD
