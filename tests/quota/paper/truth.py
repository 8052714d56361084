"""What must hold, checked against what requests were told and what happened; never against a ledger's insides.

A request let in around the end of a window may belong to either; what is checked of a counter is then checked of
every run of windows: what certainly belongs to the run is not more than all of its windows allow.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from math import inf
from typing import NamedTuple

from gateway.model import Limit, Over, Period, Verdict

from .gateway import Request
from .session import Touch
from .world import Seen, World

SECONDS = {Period.MINUTE: 60, Period.HOUR: 3600}  # the periods of this world
FENCE = 6.0  # seconds in which processes tell a store that forgot what they remember, and one for the way
GIVEN_BACK = 3.0  # seconds until a store knows that what it granted was not used
EARLY = 1e-6


class Key(NamedTuple):
    """A counter, over all of its windows."""

    scope: str
    metric: str
    period: Period
    over: Over


@dataclass(frozen=True)
class Use:
    """Units that a request took of a counter and was charged in the end, and the windows (by number) to which it may
    belong.
    """

    request: Request
    limit: Limit
    cost: int
    charged: int
    first: int
    last: int

    @property
    def held(self) -> int:
        """Units that its window had to have room for."""
        return min(self.cost, self.charged)


def key_of(scope: str, limit: Limit) -> Key:
    return Key(scope, limit.metric, limit.period, limit.over)


def is_for_good(request: Request) -> bool:
    """Whether a refusal says to come back in the next window, or never."""
    outcome = request.outcome
    assert outcome is not None
    return outcome.retry_after is None or outcome.retry_after > 1


def _window(touch: Touch) -> int:
    """The number of a counter's window; see gateway.store.keys."""
    *_, period, _, start = touch.key.split(":")
    return int(start) // SECONDS[Period(period)]


def _by_counter(touches: list[Touch]) -> Iterator[list[Touch]]:
    for key in sorted({touch.key for touch in touches}):
        yield [touch for touch in touches if touch.key == key]


class Truth:
    """The violations of one world's history. `timeout`: seconds that a request may wait."""

    def __init__(self, world: World, *, timeout: float = 0.05) -> None:
        self._world = world
        self._timeout = timeout
        self._history = world.history
        self._deaths = {gateway.name: gateway.died for gateway in world.gateways}
        self._births = {gateway.name: gateway.born for gateway in world.gateways}
        self._losses = [event.at for event in self._history.events if event.kind == "loss"]

    def violations(self) -> list[str]:
        checks = (self._failures, self._answers, self._admitted, self._refused, self._alerts)
        return [found for check in checks for found in check()]

    def uses(self, key: Key) -> list[Use]:
        """What was let in of a counter."""
        return self._uses.get(key, [])

    def windows(self, use: Limit, request: Request) -> tuple[int, int]:
        """The first and the last window to which an answered request may belong."""
        seconds = SECONDS[use.period]
        first = int(self._store_time(request.asked, min) // seconds)
        last = int(self._store_time(min(request.answered, self._world.loop.time()), max) // seconds)
        outcome = request.outcome
        if outcome is not None and outcome.limit == use and outcome.resets_at is not None:
            told = round(outcome.resets_at / seconds) - 1
            if first <= told <= last:
                return told, told
        return first, last

    # --- requests ---------------------------------------------------------------------------------------

    def _failures(self) -> Iterator[str]:
        for failure in self._world.loop.failures:
            yield f"a callback failed: {failure!r}"

    def _answers(self) -> Iterator[str]:
        """Each request is answered once, and in time, unless its gateway died or stood still."""
        now = self._world.loop.time()
        for request in self._history.requests:
            if request.answers > 1:
                yield f"answered {request.answers} times: {request}"
            until = min(request.answered, now)
            waited = until - request.asked
            excused = self._deaths[request.gateway] <= request.asked + self._timeout or any(
                event.kind == "pause"
                and event.who == request.gateway
                and event.at <= until
                and request.asked <= event.until
                for event in self._history.events
            )
            if waited > self._timeout + EARLY and not excused:
                yield f"waited {waited:.6f} s: {request}"

    def _admitted(self) -> Iterator[str]:
        """No window admits more than its limit, but for what those took with them who were gone when data was lost."""
        for key, uses in self._uses.items():
            if key.over is Over.ALLOW:
                continue
            borders = sorted({use.first for use in uses} | {use.last for use in uses})
            for place, first in enumerate(borders):
                for last in borders[place:]:
                    inside = [use for use in uses if first <= use.first and use.last <= last]
                    most = sum(self._value(uses, window) for window in range(first, last + 1) if window in borders)
                    admitted, lost = sum(use.held for use in inside), self._lost(key, first, last)
                    if admitted > most + lost:
                        yield f"{admitted} admitted of {most} (+ {lost} lost) in windows {first}–{last} of {key}"

    def _refused(self) -> Iterator[str]:
        """Who is refused until the window ends would not fit even if all units that are out came back unused."""
        for request in self._history.requests:
            outcome = request.outcome
            if outcome is None or outcome.verdict is not Verdict.REFUSED or not is_for_good(request):
                continue
            limit = outcome.limit
            assert limit is not None
            cost = next(charge.cost for charge in request.charges if charge.limit == limit)
            key = key_of(request.scope, limit)
            first, last = self.windows(limit, request)
            known = self._spent(key, first, last, request.answered) + self._unknown(key, first, last, request.answered)
            if known + cost > limit.value:
                continue
            yield f"refused {cost} when {known} of {limit.value} were spent: {request}"

    # --- alerts -----------------------------------------------------------------------------------------

    def _alerts(self) -> Iterator[str]:
        yield from self._repeated()
        for seen in self._history.alerts:
            yield from self._early(seen)
        yield from self._missing()

    def _repeated(self) -> Iterator[str]:
        """One stream holds each alert once."""
        found: set[tuple[object, ...]] = set()
        for stream, alert in ((seen.stream, seen.alert) for seen in self._history.alerts):
            about = (stream, alert.application, alert.metric, alert.period, alert.plan, alert.bin, alert.window_start)
            if about in found:
                yield f"raised twice: {alert}"
            found.add(about)

    def _early(self, seen: Seen) -> Iterator[str]:
        """No alert before so much was let in, but by reports that were sent twice because data was lost."""
        alert = seen.alert
        if alert.spent * 100 < alert.bin * alert.value:
            yield f"raised below its bin: {alert}"
        for key in self._uses:
            if (key.scope, key.metric, key.period) != (alert.application, alert.metric, alert.period):
                continue
            window = int(alert.window_start // SECONDS[key.period])
            spent = self._spent(key, window, window, seen.at)
            if alert.spent > spent + self._unknown(key, window, window, seen.at):
                yield f"raised at {alert.spent} when {spent} were spent: {alert}"

    def _missing(self) -> Iterator[str]:
        """Whatever certainly was spent, and told by who lived on, is raised."""
        raised = {(s.alert.application, s.alert.metric, s.alert.period, s.alert.window_start, s.alert.bin)
                  for s in self._history.alerts}  # fmt: skip
        for key, uses in self._uses.items():
            for window in {use.first for use in uses}:
                if self._is_over_at_a_loss(key, window):
                    continue  # processes tell a store that forgot of the windows that go on
                sure = [use for use in uses if use.first == use.last == window and self._told(use)]
                value = self._value(uses, window)
                spent = sum(use.charged for use in sure)
                for bin_ in set.intersection(*(set(use.limit.bins) for use in uses)):
                    about = (key.scope, key.metric, key.period, window * SECONDS[key.period], bin_)
                    if spent and spent * 100 >= bin_ * value and about not in raised:
                        yield f"never raised: {bin_} % of {value} in window {window} of {key} ({spent} spent)"

    def _is_over_at_a_loss(self, key: Key, window: int) -> bool:
        ends = (window + 1) * SECONDS[key.period]
        return any(ends <= self._store_time(loss + FENCE, max) for loss in self._losses)

    # --- what is known ------------------------------------------------------------------------------------

    @cached_property
    def _uses(self) -> dict[Key, list[Use]]:
        found: dict[Key, list[Use]] = {}
        for request in self._history.requests:
            if request.outcome is None or request.outcome.verdict is not Verdict.GRANTED:
                continue
            for charge in request.charges:
                limit, cost, charged = charge.limit, charge.cost, request.charged(charge)
                use = Use(request, limit, cost, charged, *self.windows(limit, request))
                found.setdefault(key_of(request.scope, limit), []).append(use)
        return found

    @cached_property
    def _touches(self) -> dict[Key, list[Touch]]:
        found: dict[Key, list[Touch]] = {}
        for touch in (touch for server in self._world.servers for touch in server.touches):
            _, scope, _, _, metric, period, _, _ = touch.key.split(":")
            for over in Over:
                found.setdefault(Key(scope.strip("{}"), metric, Period(period), over), []).append(touch)
        return found

    def _store_time(self, at: float, choose: type[min] | type[max]) -> float:
        """The least or the most that a process may have taken for the store's time at `at`."""
        skews = [by for when, by in self._history.skews if when <= at]
        return self._world.wall() - self._world.loop.time() + at + choose(skews)

    def _value(self, uses: list[Use], window: int) -> int:
        """The largest version of the limit that was used."""
        return max((use.limit.value for use in uses if use.first <= window <= use.last), default=0)

    def _spent(self, key: Key, first: int, last: int, at: float) -> int:
        """Units of requests that were let in or nearly so by then, and may be of these windows."""
        return sum(
            use.charged for use in self.uses(key) if use.request.asked <= at and use.first <= last and first <= use.last
        )

    def _lost(self, key: Key, first: int, last: int) -> int:
        """Units that were granted, since a survivor last heard of the counter, to gateways that could not tell of them
        when a store forgot."""
        touches = [touch for touch in self._touches.get(key, []) if first <= _window(touch) <= last]
        return sum(self._lost_of(counter, loss) for loss in self._losses for counter in _by_counter(touches))

    def _lost_of(self, touches: list[Touch], loss: float) -> int:
        """The same of one counter and one loss."""
        before = [touch for touch in touches if touch.at <= loss]
        last_heard = max(
            (touch.at for touch in before if touch.heard and self._tells(touch.process, loss)), default=-inf
        )
        return sum(touch.growth for touch in before if touch.at > last_heard and not self._tells(touch.process, loss))

    def _tells(self, gateway: str, loss: float) -> bool:
        """Whether a gateway lived through a loss, reachable all the while."""
        if self._births[gateway] > loss:
            return True
        apart = any(
            event.kind in {"cut", "pause", "storm"}
            and event.who in {gateway, ""}
            and event.at < loss + FENCE
            and loss < event.until
            for event in self._history.events
        )
        return self._deaths[gateway] > loss + FENCE and not apart

    def _unknown(self, key: Key, first: int, last: int, at: float) -> int:
        """Units that a store may take for spent although nobody was let in for them: granted to requests of gateways
        that died meanwhile, or that had waited too long; and, after a loss, what was reported twice."""
        lost = any(event.kind in {"loss", "failover"} and event.at <= at for event in self._history.events)
        return (self._spent(key, first, last, at) if lost else 0) + sum(
            cost
            for request in self._late
            if request.scope == key.scope and request.asked <= at and self._in_vain(request, at)
            for limit, cost, _ in request.charges
            if key_of(request.scope, limit) == key
        )

    @cached_property
    def _late(self) -> list[Request]:
        """Requests that were not let in, and had waited so long that units may have come for them after all."""
        return [
            request
            for request in self._history.requests
            if request.outcome is None
            or (
                request.outcome.verdict is not Verdict.GRANTED
                and request.answered >= request.asked + self._timeout - EARLY
            )
        ]

    def _in_vain(self, request: Request, at: float) -> bool:
        """Whether units may have been granted to a late request, and not be given back yet."""
        if request.outcome is None:
            return True
        troubled = any(
            event.kind not in {"loss", "failover"} and event.at <= at and request.asked <= event.until + GIVEN_BACK
            for event in self._history.events
        )
        return troubled or at <= request.answered + GIVEN_BACK

    def _told(self, use: Use) -> bool:
        """Whether the store knows by now what was spent."""
        request, gateway = use.request, use.request.gateway
        answered = max(request.answered, request.ended) if request.reserves else request.answered
        if any(loss > answered and not self._tells(gateway, loss) for loss in self._losses):
            return False
        reported = min(self._deaths[gateway], self._world.loop.time()) >= answered + 2
        quiet = not any(event.at <= answered + 2 and answered <= event.until + 2 for event in self._history.events)
        return reported and (quiet or self._deaths[gateway] == inf)
