"""What a process can decide by itself: from units in hand, and from refusals that it knows."""

from __future__ import annotations

from math import inf

from gateway.model import Outcome
from gateway.quota.clock import StoreClock
from gateway.quota.counters import UNLIMITED, Claim, granted, refused
from gateway.quota.scopes import Counter, Meter

REFUSED_FOR = 1.0  # seconds that a refusal is believed


def take(claim: Claim[Meter], clock: StoreClock) -> Outcome | None:
    """Take a claim's costs from the units in hand, all or none; None: the store must be asked."""
    local = clock.local()
    late = local + clock.ahead
    for meter, cost in claim.firm:
        counter = meter.counter
        if counter.hand < (cost or 1) or late >= counter.end:
            return _known_refusal(claim, local, clock) if may_be_over(claim) else None
    for meter, cost in claim.firm:
        meter.counter.hand -= cost
    if claim.free:
        count(claim, 1, local + clock.behind)
    return scarcest(claim)


def count(claim: Claim[Meter], requests: int, now: float) -> None:
    """Count admitted requests against the limits that never refuse; `now` is the store's."""
    for meter, cost in claim.free:
        meter.count(cost * requests, now)


def scarcest(claim: Claim[Meter]) -> Outcome:
    """Granted, with the limit of which the smallest part is left; one that only counts is told if no other applies."""
    least, found = inf, None
    for meter, _ in claim.firm or claim.free:
        value = meter.value
        share = meter.remaining / value if value else 0.0
        if share < least:
            least, found = share, meter
    return granted(found.limit, found.remaining, found.counter.end) if found else UNLIMITED


def may_be_over(claim: Claim[Meter]) -> bool:
    """A quick look: whether a limit could refuse, by what is known of it, however old."""
    for meter, cost in claim.firm:  # noqa: SIM110 - a generator costs more than the loop
        if meter.counter.spent + cost > meter.value:
            return True
    return False


def _known_refusal(claim: Claim[Meter], local: float, clock: StoreClock) -> Outcome | None:
    """What is counted can only grow within a window, so who was refused still is; a smaller cost may yet fit."""
    now = local + clock.behind
    if claim.impossible is not None:
        meter, cost = claim.impossible
        return refused(meter.limit, cost, meter.remaining, meter.at(now).end, now)
    over = [line for line in claim.firm if _is_over(line[0].counter, *line, local, local + clock.ahead)]
    if not over:
        return None
    meter, cost = max(over, key=lambda line: line[0].counter.end)
    return refused(meter.limit, cost, meter.remaining, meter.counter.end, now)


def _is_over(counter: Counter, meter: Meter, cost: int, local: float, late: float) -> bool:
    believed = local < counter.asked + REFUSED_FOR and late < counter.end
    return believed and counter.hand < (cost or 1) and counter.spent + cost > meter.value
