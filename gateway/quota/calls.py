"""One call about one scope: what is reported, returned and asked for, and what its answer means. See consume.lua."""

from __future__ import annotations

from typing import NamedTuple

from gateway.quota.groups import Group, Keeper, KeptCall
from gateway.quota.leases import Leases
from gateway.quota.meters import MICRO, Counter
from gateway.quota.page import (
    APART,
    APART_OPEN,
    DONE,
    LEASED,
    OPEN,
    SENT,
    SENT_APART,
    SENT_BACK,
    SENT_EPOCH,
    SENT_ROW,
    SENT_USED,
    TOLD,
    TOLD_APART,
    USED,
)
from gateway.quota.scopes import Scope
from gateway.store.fence import Fence
from gateway.store.script import Command, Script

REMEMBERED = 60  # seconds that the store remembers a process's last call about a scope

STALE = "-"

CONSUME = Script("gateway.quota", "consume.lua")


class State(NamedTuple):
    """A counter as the store has it; `direct` and `ahead` are what a call was granted of it. `raised`: bins."""

    spent: int
    held: int
    topped: int
    epoch: int
    version: int
    direct: int
    ahead: int
    raised: str

    @classmethod
    def parse(cls, row: str) -> State | None:
        """None: the window was not the store's."""
        if row == STALE:
            return None
        *units, raised = row.split(",")
        return cls(*map(int, units), raised.replace(".", ","))  # type: ignore[call-arg,arg-type]


class Answer(NamedTuple):
    """The store's time in Unix seconds; each row's state; requests granted per group; the last call, if asked for."""

    now: float
    states: list[State | None]
    granted: list[int]
    last: str

    @classmethod
    def parse(cls, answer: bytes) -> Answer:
        now, rows, granted, last = answer.decode().split(";", 3)
        return cls(
            int(now) / MICRO,
            [State.parse(row) for row in rows.split("|") if row],
            [int(requests) for requests in granted.split(",") if requests],
            last,
        )


def call_key(counter: str, process: str) -> str:
    """The key of a process's last call about the scope of a counter."""
    return f"{counter[: counter.index('}') + 1]}:~{process}"


def command(
    key: str, counters: list[str], number: int, seen: float, fence: Fence, outbox: str, rows: list[str | int], last: int
) -> Command:
    """The script's keys and arguments, the number of keys first. `last`: 1 asks for the process's last call."""
    header = (number, int(seen * MICRO), REMEMBERED, fence.key, fence.here, outbox, fence.processes, last)
    return (1 + len(counters), key, *counters, *header, *rows)


class Call(KeptCall):
    """What is sent, again under the same number if its answer is lost.

    `sent` is the local time before it was sent first: what the store answers, also again, was so after that.
    """

    __slots__ = ("_asked", "_leases", "counters", "rows")
    script = CONSUME

    def __init__(
        self, number: int, scope: Scope, groups: list[Group], leases: Leases, sent: float, keeper: Keeper
    ) -> None:
        """Takes along what the scope's counters have to report, and what they return. Raises PageFullError."""
        super().__init__(number, scope, groups, sent, keeper)
        self._leases = leases
        wanted = self._wanted()
        self.counters = [c for c in scope.cells if c in wanted or c.idle or c.owes(leases.page)]
        rows: list[str | int] = [len(self.counters)]
        for row, counter in enumerate(self.counters):
            rows += self._row(counter, row, wanted.get(counter, 0))
        self.rows = rows + self._shapes()
        self._asked = sum(wanted.values())  # units ahead that it may be granted
        leases.page.sign_number(number)

    def parse(self, answer: bytes) -> Answer:
        """See Errand."""
        return Answer.parse(answer)

    def _wanted(self) -> dict[Counter, int]:
        """Units to lease ahead: of what waiting requests need, and of all that is in use when more is due."""
        waiting: dict[Counter, int] = {}
        for claim, counters, waiters, _ in self.groups:
            for counter, (_, cost) in zip(counters, claim.firm, strict=True):
                self._leases.adopt(counter)
                counter.idle = True  # what is too little for a request goes back, to be granted as a part of it
                waiting[counter] = waiting.get(counter, 0) + cost * len(waiters)
        want = self._leases.want
        wanted = {counter: max(0, want(counter, units, self.sent)) for counter, units in waiting.items()}
        if self.scope.refill or waiting:
            self.scope.refill = False
            for counter in self.scope.cells:
                if counter.hand and not counter.idle:
                    units = want(counter, 0, self.sent)
                    if units > 0:
                        wanted[counter] = units
        return wanted

    def _row(self, counter: Counter, row: int, want: int) -> tuple[str | int, ...]:
        """The counter's part of the call, noted in the page before it is sent."""
        words, place = self._leases.page.words, counter.place
        back = counter.hand if counter.idle else 0
        counter.hand -= back
        counter.idle = False
        counter.unreported = 0
        bank = words[place + DONE] & 1
        used, apart = words[place + USED] - words[place + OPEN], words[place + APART] - words[place + APART_OPEN]
        words[place + SENT_USED] = used
        words[place + SENT_APART] = apart
        words[place + SENT_BACK] = back
        words[place + SENT_ROW] = row
        units = (used - words[place + TOLD + bank], apart - words[place + TOLD_APART + bank], 0, back, want)
        return (*counter.entry.row, *units, *counter.entry.tail)

    def _shapes(self) -> list[str | int]:
        place = {counter: row for row, counter in enumerate(self.counters, 1)}
        shapes: list[str | int] = [len(self.groups)]
        for claim, held, waiters, lent in self.groups:
            shapes += (-len(waiters) if lent else len(waiters), len(held))
            for counter, (_, cost) in zip(held, claim.firm, strict=True):
                shapes += (place[counter], cost)
        return shapes

    def begin(self, epoch: int) -> None:
        """Note that it goes out, in that epoch of the store; again: in the one of the first time."""
        if self.epoch:
            return
        self.epoch = epoch
        words = self._leases.page.words
        for counter in self.counters:
            words[counter.place + SENT_EPOCH] = epoch
            words[counter.place + SENT] = self.number

    def command(self, seen: float, fence: Fence, outbox: str) -> Command:
        """See `command`; the time and the epoch are those of the moment."""
        keys = [counter.entry.key for counter in self.counters]
        return command(self.scope.key, keys, self.number, seen, fence, outbox, self.rows, 0)

    def settle(self, answer: Answer) -> None:
        """Take in hand what was granted, and turn to the store's window where another was asked for."""
        self._sign_off()
        stale = set()
        for counter, state in zip(self.counters, answer.states, strict=True):
            if state is None:
                stale.add(counter)
                self._conclude(counter, 0, 0)
                continue
            self._conclude(counter, state.direct, state.ahead)
            counter.hand += state.direct + state.ahead
            counter.spent, counter.topped, counter.asked = state.spent, state.topped, self.sent
            counter.left = int(counter.entry.row[0]) + state.topped - state.spent - state.held
            self._leases.topped_up(counter, state.ahead, self.sent)
        self._note_remaining()
        for meter in {meter for group in self.groups for meter, _ in group.claim.firm}:
            if meter.counter in stale:
                meter.open(answer.now)

    def _conclude(self, counter: Counter, direct: int, ahead: int) -> None:
        words, place = self._leases.page.words, counter.place
        bank = words[place + DONE] & 1
        other = 1 - bank
        words[place + LEASED + other] = words[place + LEASED + bank] - words[place + SENT_BACK] + direct + ahead
        words[place + TOLD + other] = words[place + SENT_USED] + direct
        words[place + TOLD_APART + other] = words[place + SENT_APART]
        words[place + DONE] = 2 * self.number + other

    def _note_remaining(self) -> None:
        """A hint: what the store has as not spent, less what was used here since."""
        words = self._leases.page.words
        for counter in self.counters:
            place = counter.place
            bank = words[place + DONE] & 1
            used = words[place + USED] - words[place + TOLD + bank]
            apart = words[place + APART] - words[place + TOLD_APART + bank]
            value = int(counter.entry.row[0])
            counter.offset = value + counter.topped - counter.spent - used - apart - counter.hand

    def _sign_off(self) -> None:
        self.scope.last = self.number
        if self.tried:  # one that is on its way may arrive as long as it could be sent, and then as it is remembered
            self.scope.sure = self.sent + 1.5 * REMEMBERED

    def undo(self) -> None:
        """The store has not heard of it: all is as if it had not been made."""
        self.epoch = 0
        words = self._leases.page.words
        for counter in self.counters:
            counter.hand += words[counter.place + SENT_BACK]
            words[counter.place + SENT] = words[counter.place + DONE] >> 1

    def void(self) -> int:
        """Nobody will know whether it was done; gives the units that may be spent or stay held for nobody, at most.

        What it returned or was granted is not used, and what it reported is counted without being taken from what
        is held: the limit may end up short of these units, and is never passed.
        """
        self._sign_off()
        words = self._leases.page.words
        direct = sum(len(group.waiters) * sum(cost for _, cost in group.claim.firm) for group in self.groups)
        lost = self._asked + direct
        for counter in self.counters:
            place = counter.place
            bank = words[place + DONE] & 1
            other = 1 - bank
            back = words[place + SENT_BACK]
            reported = max(0, words[place + SENT_USED] - words[place + TOLD + bank])  # less is a return, done or not
            words[place + LEASED + other] = words[place + LEASED + bank] - back
            words[place + TOLD + other] = words[place + SENT_USED]
            words[place + TOLD_APART + other] = words[place + TOLD_APART + bank] - reported
            words[place + DONE] = 2 * self.number + other
            lost += back + reported
        return lost
