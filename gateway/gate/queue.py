"""Who waits at one counter for a turn, the first that came first."""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Iterable, Mapping
from math import ceil
from typing import Any, NamedTuple, Protocol

from gateway.model import Charge, Kind, Limit, Outcome, Over, Per, Period

POLL = 0.05  # seconds between looks at what others may give back
LEAST = 0.001  # seconds; clocks are no finer, and timers may ring as much too early
SECONDS = {Period.SECOND: 1, Period.MINUTE: 60, Period.HOUR: 3_600, Period.DAY: 86_400}  # of rates

Key = tuple[str, str, str | None, str, Period, str, Per, Kind]


class Handle(Protocol):
    def cancel(self) -> None: ...


class Timers(Protocol):
    """An event loop's."""

    def time(self) -> float:
        """Monotonic seconds."""

    def call_later(self, delay: float, callback: Callable[[], object], /) -> Handle: ...


class Part(NamedTuple):
    """What a request costs a counter, and by which limit."""

    key: Key
    limit: Limit
    cost: int

    @property
    def hopeless(self) -> bool:
        """More than there ever is at once."""
        return self.cost > (self.limit.burst if self.limit.kind is Kind.RATE else self.limit.value)


class Patient(NamedTuple):
    """A ledger's claim some limits of which let wait: `parts`."""

    claim: Any
    parts: Mapping[Limit, Part]


def key_of(scope: str, limit: Limit) -> Key:
    """The same for limits that share a counter, so that they share a queue too."""
    return (scope, limit.plan, limit.service, limit.metric, limit.period, limit.zone, limit.per, limit.kind)


def waits_of(charges: Iterable[tuple[str, tuple[Charge, ...]]]) -> dict[Limit, Part]:
    """By limit, what a request may wait for; `charges` by scope."""
    return {
        charge.limit: Part(key_of(scope, charge.limit), charge.limit, charge.cost)
        for scope, some in charges
        for charge in some
        if charge.cost and charge.limit.over is Over.WAIT
    }


class Turn:
    """A request that waits, or has waited for `seconds`. `done` is None when it has been answered."""

    __slots__ = ("_leave", "asked", "done", "number", "part", "patient", "seconds", "since", "timer", "until")

    def __init__(
        self,
        number: int,
        patient: Patient,
        done: Callable[[Outcome], None],
        since: float,
        leave: Callable[[Turn], None],
    ) -> None:
        """`number` tells who came first."""
        self.number = number
        self.patient = patient
        self.part = next(iter(patient.parts.values()))  # what it waits for
        self.done: Callable[[Outcome], None] | None = done
        self.since = self.until = since  # monotonic
        self.asked = False  # the ledger is asked for it: it cannot be answered otherwise
        self.seconds = 0.0
        self.timer: Handle | None = None
        self._leave = leave

    def leave(self) -> None:
        """Nobody waits for the answer any more."""
        self._leave(self)


class Queue:
    """Of one counter. `refusal` is the ledger's latest; `timer` asks again."""

    __slots__ = ("asking", "key", "refusal", "timer", "turns")

    def __init__(self, key: Key, refusal: Outcome) -> None:
        self.key = key
        self.refusal = refusal
        self.asking = False
        self.timer: Handle | None = None
        self.turns: list[Turn] = []

    def add(self, turn: Turn) -> None:
        """In the order of arrival."""
        insort(self.turns, turn, key=lambda one: one.number)

    def pause(self, now: float) -> float:
        """Seconds until asking again may help; `now` is the ledger's time."""
        refusal, limit = self.refusal, self.refusal.limit
        assert limit is not None
        if refusal.elsewhere or refusal.resets_at is None or limit.kind is Kind.CONCURRENT:
            return POLL
        return max(0.0, refusal.resets_at - now) + LEAST

    def soonest(self, part: Part, now: float) -> float:
        """Seconds that one more has to wait at least."""
        refusal = self.refusal
        if refusal.elsewhere or refusal.resets_at is None or part.limit.kind is Kind.CONCURRENT:
            return 0.0
        wait = max(0.0, refusal.resets_at - now)
        if part.limit.kind is Kind.RATE and self.turns:
            units = sum(turn.part.cost for turn in self.turns[1:]) + part.cost
            wait += units * SECONDS[part.limit.period] / part.limit.value
        return wait + LEAST

    def refused(self, limit: Limit, now: float) -> Outcome:
        """What is told to who does not get a turn in time."""
        refusal = self.refusal
        ends = refusal.resets_at
        again = refusal.retry_after
        if again is not None:
            again = 1 if ends is None or refusal.elsewhere else max(1, ceil(ends - now))
        return refusal.replace(limit=limit, retry_after=again)
