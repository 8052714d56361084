"""A ledger in this process's memory: answers at once, forgets at a restart, permits one worker."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import inf
from weakref import WeakValueDictionary

from gateway.model import Alert, Charge, Kind, Limit, Outcome
from gateway.quota.adjust import Account, Had
from gateway.quota.counters import UNLIMITED, Claim, Rule, claim_of, granted, held_back, is_window, refused, together
from gateway.quota.crossings import NEVER, alert, thresholds
from gateway.quota.here import Bucket, Permits, Pool, Tally
from gateway.quota.periods import Window, window, zone_of
from gateway.store import keys

PREFIX = "memory"  # of the names of its counters
SWEEP = 10_000  # counters kept before ended windows are first looked for


class Meter:
    """A limit and its tally; or its pool, where it is no window."""

    __slots__ = ("limit", "pool", "scope", "tally", "thresholds", "value")

    def __init__(self, scope: str, limit: Limit, tally: Tally, pool: Pool | None) -> None:
        self.scope = scope
        self.limit = limit
        self.value = limit.value
        self.tally = tally
        self.pool = pool
        self.thresholds = thresholds(limit, limit.value)

    @property
    def left(self) -> int:
        """Units of the window."""
        return self.value - self.tally.taken


class MemoryLedger:
    """Counts in one process. `clock` gives Unix seconds; `raised` hears each crossing, at the request that made it."""

    def __init__(self, clock: Callable[[], float], raised: Callable[[Alert], None]) -> None:
        self._clock = clock
        self._raised = raised
        self._tallies: WeakValueDictionary[tuple[str, Rule], Tally] = WeakValueDictionary()
        self._pools: WeakValueDictionary[tuple[str, Rule], Pool] = WeakValueDictionary()
        self._counting: set[Tally | Pool] = set()  # keeps what has a window open, claimed or not, and pools in use
        self._sweep_at = SWEEP

    def claim(self, scope: str, charges: tuple[Charge, ...], *others: tuple[str, tuple[Charge, ...]]) -> Claim[Meter]:
        """A handle for `consume`; raises ValueError for charges that share a counter or are out of range."""
        claim = claim_of(charges, lambda limit: self._meter(scope, limit))
        return together((claim, *(self.claim(*other) for other in others))) if others else claim

    def consume(self, claim: Claim[Meter], done: Callable[[Outcome], None]) -> Outcome:
        """Take a claim's costs from all its limits, or from none. Never calls `done`."""
        now = self._clock()
        for meter, _ in claim.lines:
            if now >= meter.tally.end:
                self._open(meter, now)
        for meter, cost in claim.firm:
            tally = meter.tally
            if tally.taken + cost > meter.value and meter.pool is None:
                return self._refuse(claim, now)
        for meter, cost in claim.pools:
            refusal = meter.pool.refusal(meter.limit, cost, now)  # type: ignore[union-attr]
            if refusal is not None:
                return refusal
        held = Held(self, claim) if claim.kept else None
        for meter, cost in claim.lines:
            self._take(meter, cost, now)
        outcome = shadowed(claim, scarcest(claim, now))
        return outcome if held is None else outcome.replace(hold=held)

    def _take(self, meter: Meter, cost: int, now: float) -> None:
        tally = meter.tally
        if meter.pool is not None:
            meter.pool.take(meter.limit, cost, now)
            self._keep(meter.pool, now)
        else:
            tally.taken += cost
            if tally.taken >= tally.alarm or tally.meter is not meter:
                self._cross(meter, now)

    def settle(self, meter: Meter, cost: int, used: int, start: float) -> None:
        """A request has ended that took `cost` in the window that began at `start`."""
        tally = meter.tally
        if meter.pool is not None:
            meter.pool.give_back(cost)
        elif tally.start == start:
            tally.held -= cost
            tally.taken += used - cost
            self._cross(meter, self._clock())

    async def read(self, scope: str, limits: Sequence[Limit]) -> list[Account]:
        """What a scope has used, in the windows that are open."""
        now, found = self._clock(), []
        for limit in limits:
            tally = self._tallies.get((scope, Rule.of(limit)))
            here = window(limit.period, zone_of(limit.period, limit.zone), now)
            had = Had(tally.spent, tally.held, 0) if tally is not None and now < tally.end else Had(0, 0, 0)
            found.append(Account(limit, here, had))
        return found

    def _refuse(self, claim: Claim[Meter], now: float) -> Outcome:
        over = [(meter, cost) for meter, cost in claim.firm if meter.pool is None and meter.left < cost]
        for meter, _ in over:
            self._cross(meter, now)
        meter, cost = max(over, key=lambda line: (line[1] > line[0].value, not _comes_back(*line), line[0].tally.end))
        if _comes_back(meter, cost):
            return held_back(meter.limit, meter.tally.end)
        return refused(meter.limit, cost, meter.left, meter.tally.end, now)

    def _cross(self, meter: Meter, now: float) -> None:
        tally = meter.tally
        for units, bin_ in meter.thresholds:
            if tally.spent >= units and bin_ not in tally.raised:
                tally.raised.add(bin_)
                self._raised(self._alert(meter, bin_, now))
        tally.meter = meter
        tally.alarm = min((units for units, bin_ in meter.thresholds if bin_ not in tally.raised), default=NEVER)

    def _alert(self, meter: Meter, bin_: int, now: float) -> Alert:
        tally, limit = meter.tally, meter.limit
        rule = keys.counters(PREFIX, meter.scope, limit, zone_of(limit.period, limit.zone))
        here = Window(tally.start, None if tally.end == inf else tally.end)
        return alert(meter.scope, limit, keys.counter(rule, tally.start), here, bin_, tally.spent, now)

    def _open(self, meter: Meter, now: float) -> None:
        meter.tally.open(window(meter.limit.period, meter.limit.zone, now))
        self._keep(meter.tally, now)

    def _keep(self, state: Tally | Pool, now: float) -> None:
        self._counting.add(state)
        if len(self._counting) >= self._sweep_at:
            self._counting = {state for state in self._counting if now < state.end}
            self._sweep_at = max(SWEEP, 2 * len(self._counting))

    def _meter(self, scope: str, limit: Limit) -> Meter:
        where = (scope, Rule.of(limit))
        if not is_window(limit):
            pool = self._pools.get(where)
            if pool is None:
                pool = self._pools[where] = Permits() if limit.kind is Kind.CONCURRENT else Bucket()
            return Meter(scope, limit, TALLY, pool)
        tally = self._tallies.get(where)
        if tally is None:
            tally = self._tallies[where] = Tally()
        return Meter(scope, limit, tally, None)


def _comes_back(meter: Meter, cost: int) -> bool:
    """Whether what lacks may be given back by requests that are under way."""
    return meter.tally.spent + cost <= meter.value


TALLY = Tally()  # of what has no windows
TALLY.end = inf


class Held:
    """See Hold."""

    def __init__(self, ledger: MemoryLedger, claim: Claim[Meter]) -> None:
        """Of a request that takes its units now."""
        self._ledger = ledger
        self._kept = [(meter, cost, meter.tally.start) for meter, cost in claim.kept]
        for meter, cost in claim.kept:
            if meter.pool is None:
                meter.tally.held += cost

    def settle(self, usage: Mapping[str, int]) -> None:
        """See Hold."""
        kept, self._kept = self._kept, []
        for meter, cost, start in kept:
            self._ledger.settle(meter, cost, usage.get(meter.limit.metric, 0), start)


def shadowed(claim: Claim[Meter], outcome: Outcome) -> Outcome:
    """With the limit in shadow that would have refused."""
    over = next((meter.limit for meter, _ in claim.shadow if meter.left < 0), None)
    return outcome.replace(shadow=over) if over else outcome


def scarcest(claim: Claim[Meter], now: float) -> Outcome:
    """Granted, with the limit of which the smallest part is left; see Claim for which are told."""
    least, found = inf, None
    for meter, _ in claim.told:
        value = meter.value
        share = meter.left / value if value else 0.0
        if share < least:
            least, found = share, meter
    if found is None:
        return UNLIMITED
    if found.pool is not None:
        return found.pool.granted(found.limit, now)
    return granted(found.limit, found.left, found.tally.end)
