"""Where requests wait for their turn, at limits that let them (`over: {wait: …}`).

The first in each queue asks the ledger again when that may help: so it is the ledger alone that lets in, and nobody
who comes later is let in before. Queues are of one process.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from functools import partial
from math import inf

from gateway.gate.protocols import Ask, Ledger
from gateway.gate.queue import POLL, Key, Part, Patient, Queue, Timers, Turn
from gateway.model import Hold, Kind, Outcome, Verdict
from gateway.model.requests import NOTHING

PLACES = 1_000  # in all queues together

Done = Callable[[Outcome], None]


class Turns:
    """Of one process, whatever its configuration. `clock` is the ledger's time in Unix seconds. `on_end` hears how
    each wait ended (`granted`, `refused`, `left`, or `full` where there was no place) and how many seconds it took.
    """

    def __init__(
        self,
        ledger: Ledger,
        timers: Timers,
        clock: Callable[[], float],
        on_end: Callable[[str, float], None] = lambda how, seconds: None,
    ) -> None:
        self.places = PLACES
        self.waiting = 0
        self._ledger = ledger
        self._timers = timers
        self._clock = clock
        self._on_end = on_end
        self._numbers = itertools.count()
        self._queues: dict[Key, Queue] = {}
        self._latest = inf  # when the last wait must end; monotonic

    def consume(self, ask: Ask, patient: Patient, done: Done) -> Outcome | None:
        """As a ledger's; None: `done` hears it when it has its turn, or when the time is over."""
        turn = Turn(next(self._numbers), patient, done, self._timers.time(), self._leave)
        behind = self._behind(turn)
        if behind is not None and not any(part.hopeless for part in patient.parts.values()):
            return self._line_up(ask, turn, *behind)

        def hear(outcome: Outcome) -> None:
            told = self._first(ask, turn, outcome)
            if told is not None:
                done(told)

        outcome = self._ledger.consume(patient.claim, hear)
        return None if outcome is None else self._first(ask, turn, outcome)

    def drain(self, seconds: float) -> None:
        """The process ends then: nobody waits for longer than half of it, so that who is let in is served too."""
        self._latest = min(self._latest, self._timers.time() + seconds / 2)
        for queue in self._queues.values():
            for turn in queue.turns:
                if turn.until > self._latest:
                    self._end_by(turn, self._latest)

    # --- into a queue

    def _first(self, ask: Ask, turn: Turn, outcome: Outcome) -> Outcome | None:
        """What the ledger said when it was first asked; None: it waits."""
        part = None if ask.gone else waits(turn.patient, outcome)
        if part is not None:
            return self._line_up(ask, turn, self._queues.get(part.key) or Queue(part.key, outcome), part)
        if outcome.verdict is Verdict.GRANTED:
            behind = self._behind(turn)
            if behind is not None and self._pass_on(behind[0], turn.patient, outcome):
                return self._line_up(ask, turn, *behind)
        return self._let_in(turn.patient, outcome)

    def _pass_on(self, queue: Queue, patient: Patient, outcome: Outcome) -> bool:
        """Let the first in a queue have what another one was granted, if it needs just that."""
        first = queue.turns[0]
        fits: bool = first.patient.claim is patient.claim
        if fits:
            self._end(queue, first, outcome)
        return fits

    def _line_up(self, ask: Ask, turn: Turn, queue: Queue, part: Part) -> Outcome | None:
        now, until = self._timers.time(), min(turn.since + part.limit.wait, self._latest)
        if now + queue.soonest(part, self._clock()) > until:
            return queue.refused(part.limit, self._clock())
        if len(queue.turns) >= part.limit.places or self.waiting >= self.places:
            self._on_end("full", 0.0)
            return queue.refused(part.limit, self._clock()).replace(crowded=True)
        ask.turn, turn.part = turn, part
        self.waiting += 1
        self._end_by(turn, until)
        self._put(turn, queue)
        return None

    def _end_by(self, turn: Turn, until: float) -> None:
        if turn.timer is not None:
            turn.timer.cancel()
        turn.until = until
        turn.timer = self._timers.call_later(max(0.0, until - self._timers.time()), partial(self._expire, turn))

    def _put(self, turn: Turn, queue: Queue) -> None:
        self._queues[queue.key] = queue
        queue.add(turn)
        if queue.timer is None and not queue.asking:
            self._ask_later(queue, queue.pause(self._clock()))

    def _behind(self, turn: Turn) -> tuple[Queue, Part] | None:
        """Where somebody waits who came before."""
        for part in turn.patient.parts.values():
            queue = self._queues.get(part.key)
            if queue is not None and queue.turns[0].number < turn.number:
                return queue, part
        return None

    # --- out of it

    def _ask_later(self, queue: Queue, seconds: float) -> None:
        if queue.timer is not None:
            queue.timer.cancel()
        queue.timer = self._timers.call_later(seconds, partial(self._ring, queue))

    def _ring(self, queue: Queue) -> None:
        queue.timer = None
        if not queue.asking:
            self._serve(queue)

    def _serve(self, queue: Queue) -> None:
        """Ask for one after the other, until one waits on."""
        while queue.turns:
            turn = queue.turns[0]
            behind = self._behind(turn)
            if behind is not None:
                self._move(turn, queue, *behind)
                continue
            queue.asking = turn.asked = True
            outcome = self._ledger.consume(turn.patient.claim, partial(self._heard, queue, turn))
            if outcome is None or not self._settle(queue, turn, outcome):
                return

    def _heard(self, queue: Queue, turn: Turn, outcome: Outcome) -> None:
        if self._settle(queue, turn, outcome):
            self._serve(queue)

    def _settle(self, queue: Queue, turn: Turn, outcome: Outcome) -> bool:
        """What the ledger says to the first; whether it is the next one's turn."""
        queue.asking = turn.asked = False
        if turn.done is None:  # its client is gone, or it had what another one was granted
            self._hand_on(queue.key, turn.patient, outcome)
            return True
        part = waits(turn.patient, outcome)
        if part is None or self._timers.time() >= turn.until:
            self._end(queue, turn, outcome)
            return True
        if part.key == queue.key:
            queue.refusal = outcome
            pause = queue.pause(self._clock())
            if pause > POLL and self._timers.time() + pause > turn.until:  # nothing can come back any more
                self._end(queue, turn, outcome)
                return True
            self._ask_later(queue, pause)
            return False
        other = self._queues.get(part.key) or Queue(part.key, outcome)
        other.refusal = outcome
        self._move(turn, queue, other, part)
        return True

    def _hand_on(self, key: Key, patient: Patient, outcome: Outcome) -> None:
        """What came for nobody is the next one's, or given back."""
        queue = self._queues.get(key)
        is_used = outcome.verdict is Verdict.GRANTED and queue and self._pass_on(queue, patient, outcome)
        if not is_used and outcome.hold is not None:
            outcome.hold.settle(NOTHING)

    def _move(self, turn: Turn, queue: Queue, other: Queue, part: Part) -> None:
        """It waits elsewhere, at its place by arrival."""
        self._remove(turn, queue)
        turn.part = part
        self._put(turn, other)

    def _remove(self, turn: Turn, queue: Queue) -> None:
        queue.turns.remove(turn)
        if not queue.turns:
            self._queues.pop(queue.key, None)
            if queue.timer is not None:
                queue.timer.cancel()
                queue.timer = None

    def _end(self, queue: Queue, turn: Turn, outcome: Outcome) -> None:
        """Answer it."""
        self._remove(turn, queue)
        done = self._close(turn, "granted" if outcome.verdict is Verdict.GRANTED else "refused")
        assert done is not None
        done(self._let_in(turn.patient, outcome))

    def _close(self, turn: Turn, how: str) -> Done | None:
        done, turn.done = turn.done, None
        if done is not None:
            self.waiting -= 1
            turn.seconds = self._timers.time() - turn.since
            self._on_end(how, turn.seconds)
            if turn.timer is not None:
                turn.timer.cancel()
        return done

    def _expire(self, turn: Turn) -> None:
        """The time is over; where the ledger is being asked, it has the last word."""
        if turn.done is None:
            return
        if turn.asked:
            turn.until = -inf
            return
        queue = self._queues[turn.part.key]
        outcome = queue.refused(turn.part.limit, self._clock())
        self._step_out(turn, queue)
        done = self._close(turn, "refused")
        assert done is not None
        done(outcome)

    def _leave(self, turn: Turn) -> None:
        """Its client is gone."""
        if self._close(turn, "left") is not None:
            self._step_out(turn, self._queues[turn.part.key])

    def _step_out(self, turn: Turn, queue: Queue) -> None:
        first = queue.turns[0] is turn
        self._remove(turn, queue)
        if first and queue.turns:
            self._ask_later(queue, 0.0)  # the next may need less

    # --- what comes back when requests end

    def _let_in(self, patient: Patient, outcome: Outcome) -> Outcome:
        """With a hold whose end the queues hear of."""
        if outcome.hold is None:
            return outcome
        keys = [part.key for limit, part in patient.parts.items() if limit.kind is not Kind.RATE]
        return outcome.replace(hold=Held(outcome.hold, partial(self._freed, keys))) if keys else outcome

    def _freed(self, keys: list[Key]) -> None:
        for key in keys:
            queue = self._queues.get(key)
            if queue is not None and not queue.asking:
                self._ask_later(queue, 0.0)


class Held:
    """See Hold; `freed` hears of its end."""

    __slots__ = ("_freed", "_hold")

    def __init__(self, hold: Hold, freed: Callable[[], None]) -> None:
        self._hold = hold
        self._freed = freed

    def settle(self, usage: Mapping[str, int]) -> None:
        """See Hold."""
        self._hold.settle(usage)
        self._freed()


def waits(patient: Patient, outcome: Outcome) -> Part | None:
    """Which of its parts a refused request may wait for; None: it is let in, or waiting does not help."""
    if outcome.verdict is not Verdict.REFUSED or outcome.limit is None or outcome.retry_after is None:
        return None
    return patient.parts.get(outcome.limit)
