"""What is decided without the store, and how it is told when it is back."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from gateway.model import DownMode, Kind, Outcome, Verdict
from gateway.quota.calls import CONSUME, Answer, call_key, command
from gateway.quota.clock import StoreClock
from gateway.quota.counters import UNAVAILABLE, Claim
from gateway.quota.hand import count, count_apart, known_refusal, shadowed
from gateway.quota.holds import Held, Holds
from gateway.quota.leases import Leases
from gateway.quota.local.cell import Report
from gateway.quota.local.fallback import Fallback
from gateway.quota.local.shares import Line
from gateway.quota.meters import Meter
from gateway.quota.page import PageFullError
from gateway.store.fence import Fence
from gateway.store.keys import tag
from gateway.store.script import Command


class WithoutStore:
    """`fallback` None: nothing is let in."""

    def __init__(self, clock: StoreClock, leases: Leases, fallback: Fallback | None) -> None:
        self._clock = clock
        self._leases = leases
        self._fallback = fallback
        self._telling: set[tuple[str, str]] = set()
        self._holds = Holds(leases, lambda scope: None, self._share_back)

    def decide(self, claim: Claim[Meter]) -> Outcome:
        """Refused, if that is known; else what the plan says."""
        refusal = known_refusal(claim, self._clock)
        if refusal is not None or self._fallback is None:
            return refusal or UNAVAILABLE
        now = self._clock.earliest()
        late = self._clock.local() + self._clock.ahead
        limit = claim.firm[0][0].limit
        windows = [line for line in claim.firm if line[0].limit.kind is Kind.WINDOW]  # others cannot be shared out
        lines = [self._line(meter, cost, now) for meter, cost in windows if meter.limit.down.mode is limit.down.mode]
        if limit.down.mode is DownMode.LOCAL and any(line.end <= late for line in lines):
            return UNAVAILABLE  # at the edge of two windows
        outcome = self._fallback.decide(limit, lines)
        if outcome.verdict is Verdict.GRANTED:
            held = self._count(claim, now, limit.down.mode)
            return shadowed(claim, outcome.replace(hold=held) if held is not None else outcome)
        return outcome

    def _count(self, claim: Claim[Meter], now: float, mode: DownMode) -> Held | None:
        try:
            held = self._held(claim, now, mode) if claim.reserved else None
            for meter, cost in claim.firm:
                if meter.limit.down.mode is DownMode.OPEN and meter.limit.kind is Kind.WINDOW:
                    count_apart(meter, cost, now, self._leases)
            count(claim, 1, now, self._leases)
        except PageFullError:
            return None  # let in by the plan's own wish, and too much to remember
        return None if held is None else held.begin()

    def _held(self, claim: Claim[Meter], now: float, mode: DownMode) -> Held:
        """Of what was counted, or taken of shares where that was the `mode`; no permits were asked for."""
        kept = []
        for meter, cost in claim.kept:
            down = meter.limit.down.mode
            if meter in claim.reserved and (meter.counts_only or down is DownMode.OPEN):
                kept.append(self._holds.apart(meter, cost, now))
            elif meter in claim.reserved and down is DownMode.LOCAL is mode:
                kept.append(self._holds.apart(meter, cost, now, share=meter.at(now).entry.key))
        return Held(self._holds, kept)

    def _share_back(self, key: str, units: int) -> None:
        if self._fallback is not None:
            self._fallback.give_back(key, units)

    def _line(self, meter: Meter, cost: int, now: float) -> Line:
        counter = meter.at(now)
        entry = counter.entry
        return Line(meter.limit, entry.key, counter.start, counter.end, cost, counter.scope.name, entry)

    def tell(self, send: Callable[[str, ShareCall], bool]) -> None:
        """The store counts: send it what was spent of local shares and it does not know."""
        if self._fallback is None:
            return
        self._fallback.over()
        for report in self._fallback.reports():
            who = (report.reporter, report.scope)
            if who not in self._telling:
                self._telling.add(who)
                if not send(tag(report.scope), ShareCall(report, self._clock.local(), self._telling)):
                    self._telling.discard(who)


class ShareCall:
    """A report of local shares as a call of consume.lua; see Errand. What is not done is told again."""

    script = CONSUME

    def __init__(self, report: Report, sent: float, telling: set[tuple[str, str]]) -> None:
        self.sent = sent
        self.epoch = 0
        self.tried = False
        self._report = report
        self._telling = telling

    def __str__(self) -> str:
        return repr(self._report.scope)

    def begin(self, epoch: int) -> None:
        """See Errand."""
        self.epoch = self.epoch or epoch

    def command(self, seen: float, fence: Fence, outbox: str) -> Command:
        """See Errand."""
        rows: list[str | int] = [len(self._report.lines)]
        keys = []
        for (key, row, tail), units in self._report.lines:
            keys.append(key)
            rows += (*row, 0, 0, units, 0, 0, *tail)
        rows.append(0)
        return command(
            call_key(keys[0], self._report.reporter), keys, self._report.number, seen, fence, outbox, rows, 0
        )

    def parse(self, answer: bytes) -> Answer:
        """See Errand."""
        return Answer.parse(answer)

    def answered(self, answer: Answer) -> None:
        """See Errand."""
        with suppress(ValueError):  # the file has been left meanwhile: told again by who has it now
            self._report.done()
        self._end()

    def undone(self) -> None:
        """See Errand."""
        self._end()

    voided = undone  # told again; at a loss of the store's data some units may be counted twice
    failed = undone

    def _end(self) -> None:
        self._telling.discard((self._report.reporter, self._report.scope))
