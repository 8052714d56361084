"""What every ledger shares: claims, and outcomes in numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import ceil, inf
from typing import Generic, NamedTuple, Protocol, TypeVar

from gateway.model import Charge, Limit, Outcome, Over, Per, Period, Verdict
from gateway.quota.periods import zone_of

LARGEST = 2**53  # integers are exact up to here, also in the store's scripts

UNLIMITED = Outcome(Verdict.GRANTED)
UNAVAILABLE = Outcome(Verdict.UNAVAILABLE)


class Gauge(Protocol):
    """A limit in a scope."""

    limit: Limit


G = TypeVar("G", bound=Gauge)


class Claim(Generic[G]):
    """What one request of a kind costs: made once, used by millions.

    `firm` are the limits that may refuse, `free` those that only count; each with its cost, which is more than none.
    `shadow` are those of `free` that tell whom they would refuse. `told` are the limits of which clients hear: what may
    refuse, else what only counts. `parts` are what it costs each scope in which it may be refused, where there are
    several.
    """

    __slots__ = ("firm", "free", "lines", "parts", "shadow", "told")

    def __init__(self, lines: Iterable[tuple[G, int]], parts: Iterable[Claim[G]] = ()) -> None:
        self.lines = tuple(line for line in lines if line[1])
        self.firm = tuple(line for line in self.lines if line[0].limit.over is not Over.ALLOW)
        self.free = tuple(line for line in self.lines if line[0].limit.over is Over.ALLOW)
        self.shadow = tuple(line for line in self.free if line[0].limit.shadow)
        self.told = self.firm or tuple(
            line for line in self.free if not line[0].limit.shadow and not line[0].limit.meter
        )
        firm = tuple(part for part in parts if part.firm)
        self.parts = firm if len(firm) > 1 else ()


def together(parts: tuple[Claim[G], ...]) -> Claim[G]:
    """What a request costs several scopes, as one claim."""
    return Claim((line for part in parts for line in part.lines), parts)


class Rule(NamedTuple):
    """What makes two limits share a counter, in one scope."""

    plan: str
    service: str | None
    metric: str
    period: Period
    zone: str
    per: Per = Per.APPLICATION

    @classmethod
    def of(cls, limit: Limit) -> Rule:
        zone = zone_of(limit.period, limit.zone)
        return cls(limit.plan, limit.service, limit.metric, limit.period, zone, limit.per)


def require_sound(charges: tuple[Charge, ...]) -> None:
    """Raises ValueError for charges that no ledger can count exactly."""
    if len({Rule.of(charge.limit) for charge in charges}) != len(charges):
        raise ValueError(f"two limits of plan {charges[0].limit.plan!r} would share one counter")
    for limit, cost in charges:
        if not 0 <= cost <= LARGEST or not 0 <= limit.value <= LARGEST:
            raise ValueError(f"{limit}: cost {cost} and limit must be between 0 and 2^53")


def lines_of(charges: tuple[Charge, ...], meter: Callable[[Limit], G]) -> Iterable[tuple[G, int]]:
    """Each charge's meter and cost."""
    require_sound(charges)
    return ((meter(charge.limit), charge.cost) for charge in charges)


def granted(limit: Limit, remaining: int, end: float) -> Outcome:
    """Let in; `limit` is the scarcest, `end` its window's (inf: eternity)."""
    return Outcome(Verdict.GRANTED, limit, max(0, remaining), None if end == inf else end)


def refused(limit: Limit, cost: int, remaining: int, end: float, now: float) -> Outcome:
    """Over `limit`. Waiting helps only where the window ends and the cost fits into an empty one."""
    hopeless = end == inf or cost > limit.value
    wait = None if hopeless else max(1, ceil(end - now))
    return Outcome(Verdict.REFUSED, limit, max(0, remaining), None if end == inf else end, wait)
