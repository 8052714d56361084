"""What every ledger shares: claims, and outcomes in numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Set
from math import ceil, inf
from typing import Generic, NamedTuple, Protocol, TypeVar

from gateway.model import Charge, Kind, Limit, Outcome, Over, Per, Period, Verdict
from gateway.quota.periods import SECONDS, zone_of

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
    `shadow` are those of `free` that tell whom they would refuse. `pools` are those of `firm` that are no windows.
    `told` are the limits of which clients hear: windows, else rates, else what only counts, else permits.
    `parts` are what it costs each scope in which it may be refused, where there are several. `reserved` are meters of
    which the cost is known in the end. `kept` is what is settled then: those, and permits. `plain`: nothing but
    windows that may refuse, and all of it known at once.
    """

    __slots__ = ("firm", "free", "kept", "lends", "lines", "parts", "plain", "pools", "reserved", "shadow", "told")

    def __init__(
        self, lines: Iterable[tuple[G, int]], parts: Iterable[Claim[G]] = (), reserved: Set[G] = frozenset()
    ) -> None:
        self.lines = tuple(line for line in lines if line[1])
        self.firm = tuple(line for line in self.lines if line[0].limit.over is not Over.ALLOW)
        self.free = tuple(line for line in self.lines if line[0].limit.over is Over.ALLOW)
        self.shadow = tuple(line for line in self.free if line[0].limit.shadow)
        self.pools = tuple(line for line in self.firm if line[0].limit.kind is not Kind.WINDOW)
        self.reserved = reserved
        self.kept = tuple(line for line in self.lines if line[0] in reserved or is_permit(line[0].limit))
        self.told = (
            tuple(line for line in self.firm if is_window(line[0].limit))
            or tuple(line for line in self.firm if not is_permit(line[0].limit))
            or tuple(line for line in self.free if not line[0].limit.shadow and not line[0].limit.meter)
            or self.pools
        )
        firm = tuple(part for part in parts if part.firm)
        self.parts = firm if len(firm) > 1 else ()
        self.lends = bool(self.parts or self.pools or self.kept)  # units are leased, not spent, when they are granted
        self.plain = not (self.free or self.pools or self.kept)


def is_permit(limit: Limit) -> bool:
    """Whether its units come back when a request has ended."""
    return limit.kind is Kind.CONCURRENT


def claim_of(charges: tuple[Charge, ...], meter: Callable[[Limit], G]) -> Claim[G]:
    """What charges cost the meters of their limits. Raises ValueError for what no ledger can count exactly."""
    require_sound(charges)
    meters = [meter(charge.limit) for charge in charges]
    reserved = frozenset(m for m, charge in zip(meters, charges, strict=True) if charge.reserved and is_window(m.limit))
    return Claim(zip(meters, (charge.cost for charge in charges), strict=True), reserved=reserved)


def is_window(limit: Limit) -> bool:
    """Whether it counts in calendar windows."""
    return limit.kind is Kind.WINDOW


def together(parts: tuple[Claim[G], ...]) -> Claim[G]:
    """What a request costs several scopes, as one claim."""
    reserved = frozenset(meter for part in parts for meter in part.reserved)
    return Claim((line for part in parts for line in part.lines), parts, reserved)


class Rule(NamedTuple):
    """What makes two limits share a counter, in one scope."""

    plan: str
    service: str | None
    metric: str
    period: Period
    zone: str
    per: Per = Per.APPLICATION
    kind: Kind = Kind.WINDOW

    @classmethod
    def of(cls, limit: Limit) -> Rule:
        zone = zone_of(limit.period, limit.zone)
        return cls(limit.plan, limit.service, limit.metric, limit.period, zone, limit.per, limit.kind)


def require_sound(charges: tuple[Charge, ...]) -> None:
    """Raises ValueError for charges that no ledger can count exactly."""
    if len({Rule.of(charge.limit) for charge in charges}) != len(charges):
        raise ValueError(f"two limits of plan {charges[0].limit.plan!r} would share one counter")
    for limit, cost, _ in charges:
        if not 0 <= cost <= LARGEST or not 0 <= limit.value <= LARGEST:
            raise ValueError(f"{limit}: cost {cost} and limit must be between 0 and 2^53")


def granted(limit: Limit, remaining: int, end: float) -> Outcome:
    """Let in; `limit` is the scarcest, `end` its window's (inf: eternity)."""
    return Outcome(Verdict.GRANTED, limit, max(0, remaining), None if end == inf else end)


def refused(limit: Limit, cost: int, remaining: int, end: float, now: float) -> Outcome:
    """Over `limit`. Waiting helps only where the window ends and the cost fits into an empty one."""
    hopeless = end == inf or cost > limit.value
    wait = None if hopeless else max(1, ceil(end - now))
    return Outcome(Verdict.REFUSED, limit, max(0, remaining), None if end == inf else end, wait)


def held_back(limit: Limit, end: float) -> Outcome:
    """Over `limit` for now: what is left is held by others, or by requests under way, and may come back."""
    return Outcome(Verdict.REFUSED, limit, 0, None if end == inf else end, 1, elsewhere=True)


def busy(limit: Limit, cost: int) -> Outcome:
    """As many as `limit` permits are under way."""
    return Outcome(Verdict.REFUSED, limit, 0, None, None if cost > limit.value else 1)


def too_fast(limit: Limit, cost: int, left: float, now: float) -> Outcome:
    """Faster than `limit`; `left` are the tokens of its bucket."""
    if cost > limit.burst:
        return Outcome(Verdict.REFUSED, limit, max(0, int(left)))
    at = now + (cost - left) * seconds_per_token(limit)
    return Outcome(Verdict.REFUSED, limit, max(0, int(left)), at, max(1, ceil(at - now)))


def seconds_per_token(limit: Limit) -> float:
    """How long it takes a rate's bucket to get one."""
    return SECONDS[limit.period] / limit.value


def within_rate(limit: Limit, left: float, now: float) -> Outcome:
    """Let in; `left` are the tokens of its bucket, which is full again at `resets_at`."""
    return granted(limit, int(left), now + (limit.burst - left) * seconds_per_token(limit))
