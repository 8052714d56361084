"""What a process can decide by itself: from units in hand, and from refusals that it knows."""

from __future__ import annotations

from collections.abc import Callable
from math import inf

from gateway.model import Outcome
from gateway.quota.clock import StoreClock
from gateway.quota.counters import UNLIMITED, Claim, busy, granted, held_back, refused, too_fast, within_rate
from gateway.quota.holds import Holds
from gateway.quota.leases import Leases
from gateway.quota.meters import NOWHERE, Counter, Meter
from gateway.quota.page import APART, USED
from gateway.quota.pools.meters import Pool
from gateway.quota.scopes import Scope

REFUSED_FOR = 1.0  # seconds that a refusal is believed


def take(
    claim: Claim[Meter], clock: StoreClock, leases: Leases, holds: Holds, refill: Callable[[Scope], None]
) -> Outcome | None:
    """Take a claim's costs from the units in hand, all or none; None: the store must be asked.

    Raises PageFullError. `refill` hears of a scope that should lease more before it has none.
    """
    local = clock.local()
    late = local + clock.ahead
    for meter, cost in claim.firm:
        counter = meter.counter
        if counter.hand < cost or late >= counter.end:
            return known_refusal(claim, clock)
    plain = claim.plain
    held = None
    if not plain:
        now = local + clock.behind
        held = holds.open(claim, now) if claim.kept else None
        count(claim, 1, now, leases)
    words = leases.page.words
    for meter, cost in claim.firm:
        counter = meter.counter
        words[counter.place] += cost  # USED is the first word
        counter.hand -= cost
        if counter.hand < counter.low:
            counter.low = 0
            refill(counter.scope)
    if plain:
        return scarcest(claim)
    outcome = shadowed(claim, _told(claim, clock))
    return outcome if held is None else outcome.replace(hold=held.begin())


def _told(claim: Claim[Meter], clock: StoreClock) -> Outcome:
    """What is told of a request whose limits are not windows alone; where others are, a window is scarcest."""
    for meter, _ in claim.pools:
        pool = meter.counter
        assert isinstance(pool, Pool)
        pool.least = min(pool.least, pool.hand)
    first = claim.told[0][0] if claim.told else None
    if first is None or not isinstance(first.counter, Pool):
        return scarcest(claim)
    pool = first.counter
    if pool.permits:
        return granted(first.limit, pool.hand + int(pool.left), inf)
    local = clock.local()
    return within_rate(first.limit, pool.tokens(local), local + clock.behind)


def spend(claim: Claim[Meter], counters: tuple[Counter, ...], requests: int, leases: Leases, now: float) -> None:
    """Spend what the store granted to waiting requests; `now` is the store's time."""
    words = leases.page.words
    for counter, (_, cost) in zip(counters, claim.firm, strict=True):
        words[counter.place + USED] += cost * requests
        counter.hand -= cost * requests
    count(claim, requests, now, leases)


def count(claim: Claim[Meter], requests: int, now: float, leases: Leases) -> None:
    """Count admitted requests against the limits that never refuse; `now` is the store's time."""
    for meter, cost in claim.free:
        count_apart(meter, cost * requests, now, leases)


def count_apart(meter: Meter, units: int, now: float, leases: Leases) -> None:
    """Count what was let in without asking; told to the store within a second. Raises PageFullError."""
    counter = meter.at(now)
    if counter.place == NOWHERE:
        leases.adopt(counter)
    leases.page.words[counter.place + APART] += units
    counter.offset -= units


def scarcest(claim: Claim[Meter]) -> Outcome:
    """Granted, with the limit of which the smallest part is left; one that only counts is told if no other applies."""
    lines = claim.told
    if len(lines) == 1:
        meter = lines[0][0]
        counter = meter.counter
        return granted(meter.limit, counter.hand + counter.offset, counter.end)
    least, found = inf, None
    for meter, _ in lines:
        counter = meter.counter
        share = (counter.hand + counter.offset) / (meter.value or 1)
        if share < least:
            least, found = share, meter
    if found is None:
        return UNLIMITED
    return granted(found.limit, found.counter.hand + found.counter.offset, found.counter.end)


def shadowed(claim: Claim[Meter], outcome: Outcome, later: int = 0) -> Outcome:
    """With the limit in shadow that would have refused, as far as is known. `later`: requests counted after it."""
    for meter, cost in claim.shadow:
        if meter.counter.offset + cost * later < 0:
            return outcome.replace(shadow=meter.limit)
    return outcome


def known_refusal(claim: Claim[Meter], clock: StoreClock) -> Outcome | None:
    """What is spent can only grow within a window, so who was refused still is; a smaller cost may yet fit."""
    local = clock.local()
    late = local + clock.ahead
    over = [line for line in claim.firm if _is_over(*line, local, late)]
    if over:
        meter, cost = max(over, key=lambda line: line[0].counter.end)
        counter = meter.counter
        return refused(meter.limit, cost, counter.hand + counter.offset, counter.end, local + clock.behind)
    for meter, cost in claim.firm:
        counter = meter.counter
        pool = isinstance(counter, Pool)
        soft = local < counter.soft_until and _is_short(meter, cost) and (late < counter.end or pool)
        if soft or (pool and cost > meter.value):
            return held_elsewhere(meter, cost, clock)
    return None


def lacks(claim: Claim[Meter], late: float) -> bool:
    """Whether the store must be asked for it; `late` is the store's time or later."""
    return any(meter.counter.hand < cost or late >= meter.counter.end for meter, cost in claim.firm)


def lacking(claim: Claim[Meter]) -> tuple[Meter, int] | None:
    """The limit of which others hold what the claim needs, if it is known that there is none to lease; and the cost."""
    return next((line for line in claim.firm if _is_short(*line)), None)


def _is_short(meter: Meter, cost: int) -> bool:
    return meter.counter.hand < cost and meter.counter.short_of(cost)


def held_elsewhere(meter: Meter, cost: int, clock: StoreClock) -> Outcome:
    """Refused for now: the rest of the limit is in use, or leased to other processes, and may come back."""
    counter = meter.counter
    if isinstance(counter, Pool):
        local = clock.local()
        if counter.permits:
            return busy(meter.limit, cost)
        return too_fast(meter.limit, cost, counter.tokens(local), local + clock.behind)
    return held_back(meter.limit, counter.end)


def _is_over(meter: Meter, cost: int, local: float, late: float) -> bool:
    counter = meter.counter
    believed = local < counter.asked + REFUSED_FOR and late < counter.end
    return (
        believed
        and not isinstance(counter, Pool)
        and counter.hand < cost
        and counter.spent + cost > meter.value + counter.topped
    )
