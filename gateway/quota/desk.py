"""Where requests wait for the store: packed into calls by scope, answered with the call or when their time is up."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Callable
from typing import Any

from gateway.model import Outcome, Verdict
from gateway.quota.calls import Answer, Call
from gateway.quota.clock import StoreClock
from gateway.quota.counters import UNAVAILABLE, Claim
from gateway.quota.deadlines import Deadlines
from gateway.quota.groups import Group, grouped
from gateway.quota.hand import held_elsewhere, lacking, lacks, scarcest, shadowed, spend, take
from gateway.quota.holds import Holds
from gateway.quota.leases import Leases
from gateway.quota.memo import Memo
from gateway.quota.meters import Meter
from gateway.quota.page import PageFullError
from gateway.quota.pools.calls import PoolAnswer, PoolCall
from gateway.quota.pools.scopes import PoolScope
from gateway.quota.scopes import Scope, Waiter, scope_of

REST = 0.015  # seconds after which a scope asks again for what others hold

AnyCall = Call | PoolCall

log = logging.getLogger(__name__)


class Desk:
    """Of one process. `ready` hears of scopes with something to call about; `without_store` decides what the store
    cannot be asked about.
    """

    def __init__(
        self,
        clock: StoreClock,
        leases: Leases,
        memo: Memo,
        timeout: float,
        ready: Callable[[Scope], None],
        without_store: Callable[[Claim[Meter]], Outcome],
    ) -> None:
        self.closed = False
        self._clock = clock
        self._leases, self._memo = leases, memo
        self._timeout = timeout
        self._ready = ready
        self._without_store = without_store
        self.numbers = itertools.count(1)
        self._holds = Holds(leases, ready)
        self._deadlines: Deadlines[Waiter] = Deadlines(self._expire)
        self._timers: set[asyncio.TimerHandle] = set()

    def take(self, claim: Claim[Meter]) -> Outcome | None:
        """What can be decided here; None: the store must be asked."""
        try:
            return take(claim, self._clock, self._leases, self._holds, self._refill)
        except PageFullError:
            log.exception("more counters are in use at a time than this process can lease")
            return self._without_store(claim)

    def wait(self, claim: Claim[Meter], done: Callable[[Outcome], None]) -> None:
        """Ask the store; `done` hears its answer, or within the timeout another."""
        waiter = Waiter(claim, done, asyncio.get_running_loop().time() + self._timeout)
        self._deadlines.add(waiter)
        for scope in self._queue(waiter):
            self._ready(scope)

    def lacking(self, claim: Claim[Meter]) -> list[Scope]:
        """The scopes of which the store must be asked."""
        late = self._clock.local() + self._clock.ahead
        return [scope_of(part) for part in claim.parts or (claim,) if lacks(part, late)]

    def close(self) -> None:
        """Return all that is in hand; who waits is answered as soon as it is known that nothing comes."""
        self.closed = True
        for timer in self._timers:
            timer.cancel()
        for scope in {counter.scope for counter in self._leases.counters}:
            self._give_back(scope)

    def expire_all(self) -> None:
        """Answer who still waits."""
        self._deadlines.expire_all()

    # --- calls

    def call(self, scope: Scope) -> AnyCall | None:
        """Everything that waits in a scope as one call; None if it can be decided without."""
        answers = self._decide(scope)
        waiting, scope.waiting = scope.waiting, []
        page = self._leases.page
        due = waiting or scope.refill or any(counter.idle or counter.owes(page) for counter in scope.cells)
        call = self._packed(scope, waiting) if due else None
        self._answer_all(answers)
        return call

    def answered(self, call: AnyCall, answer: Any) -> None:
        """Hand out what the store granted. What nobody waits for any more stays in hand."""
        call.scope.call = None
        if isinstance(call, PoolCall):
            self._pools_answered(call, answer)
        else:
            self._windows_answered(call, answer)
        if self.closed:
            self._give_back(call.scope)

    def _pools_answered(self, call: PoolCall, answer: PoolAnswer) -> None:
        call.settle(answer)
        for group in call.groups:
            self._lend(group, len(group.waiters))
            call.scope.waiting += (waiter for waiter in group.waiters if waiter.done is not None)
        self._answer_all(self._again(call.scope, at_once=False))

    def _windows_answered(self, call: Call, answer: Answer) -> None:
        scope = call.scope
        call.settle(answer)
        self._memo.note(call.counters, answer.states, answer.now)
        now = self._clock.earliest()
        answers: list[tuple[Waiter, Outcome]] = []
        for group, requests in zip(call.groups, answer.granted, strict=True):
            waiting = [waiter for waiter in group.waiters if waiter.done is not None]
            if group.lent:
                self._lend(group, requests)
            lucky = [] if group.lent else waiting[:requests]
            if lucky:
                spend(group.claim, group.counters, len(lucky), self._leases, now)
            outcome = scarcest(group.claim)
            after = reversed(range(len(lucky)))
            answers += ((waiter, shadowed(group.claim, outcome, n)) for waiter, n in zip(lucky, after, strict=True))
            scope.waiting += waiting[len(lucky) :]
        answers += self._again(scope, at_once=None in answer.states)
        self._answer_all(answers)

    def undone(self, call: AnyCall) -> None:
        """Who waited waits on."""
        call.undo()
        self._put_back(call)

    def voided(self, call: AnyCall) -> None:
        """Nobody is let in without being counted; what may have been granted is lost."""
        lost = call.void()
        if lost:
            log.warning("%d units of %s may stay held for nobody in this window", lost, call)
        self._put_back(call)

    def failed(self, call: AnyCall) -> None:
        """Who waited hears it at once; what was to be reported waits for the next look."""
        call.void()
        call.scope.call = None
        for group in call.groups:
            self._answer_all([(waiter, UNAVAILABLE) for waiter in group.waiters])
        if call.scope.waiting:
            self._ready(call.scope)

    def _packed(self, scope: Scope, waiting: list[Waiter]) -> AnyCall | None:
        try:
            call = self._make(scope, grouped(scope, waiting, self._clock.earliest()))
        except PageFullError:
            log.exception("more counters are in use at a time than this process can lease")
            return None  # who waits hears it in time
        if not call.counters:
            return None
        scope.call = call
        return call

    def _make(self, scope: Scope, groups: list[Group]) -> AnyCall:
        local, number = self._clock.local(), next(self.numbers)
        if isinstance(scope, PoolScope):
            return PoolCall(number, scope, groups, self._leases, local, local + self._clock.ahead, self)
        return Call(number, scope, groups, self._leases, local, self)

    def _put_back(self, call: AnyCall) -> None:
        scope = call.scope
        scope.call = None
        scope.waiting += (waiter for group in call.groups for waiter in group.waiters if waiter.done is not None)
        self._ready(scope)

    def _queue(self, waiter: Waiter) -> list[Scope]:
        """Let a request wait wherever units lack; gives the scopes that are new."""
        scopes = [scope for scope in self.lacking(waiter.claim) if scope not in waiter.places]
        for scope in scopes:
            waiter.places.add(scope)
            scope.waiting.append(waiter)
        return scopes

    def _decide(self, scope: Scope) -> list[tuple[Waiter, Outcome]]:
        """Decide with what is known now; who cannot be answered waits on, here or where units lack now."""
        waiters, scope.waiting = scope.waiting, []
        answers: list[tuple[Waiter, Outcome]] = []
        for waiter in waiters:
            if waiter.done is None:
                continue
            outcome = self.take(waiter.claim)
            if outcome is not None:
                answers.append((waiter, outcome))
                continue
            waiter.places.discard(scope)
            for place in self._queue(waiter):
                if place is not scope:
                    self._ready(place)
        return answers

    def _again(self, scope: Scope, *, at_once: bool) -> list[tuple[Waiter, Outcome]]:
        """Decide after the store has answered.

        `at_once`: the window was another, so that the store has not been asked really. Else others hold what is left.
        """
        answers = self._decide(scope)
        for waiter in scope.waiting:
            held = lacking(waiter.part(scope))
            if held is not None:
                waiter.held = held
                self._return(waiter, after=scope.name)
        if self.closed:
            self._expire_scope(scope)
        elif scope.waiting and not at_once:
            self._rest(scope)
        elif scope.waiting or scope.refill:
            self._ready(scope)
        return answers

    def _lend(self, group: Group, requests: int) -> None:
        """Note for whom units came. They are used as soon as nothing else lacks, or go back."""
        for waiter in group.waiters[:requests]:
            waiter.lent += group.counters
            if waiter.done is None:
                self._return(waiter)

    def _return(self, waiter: Waiter, after: str = "") -> None:
        """Give back what was leased for a request that is not let in.

        While it waits for a scope that others hold, it keeps units of those before it in order, and none of those
        `after` it: so no two requests wait for each other's.
        """
        for counter in waiter.lent:
            if counter.hand and counter.scope.name > after:
                counter.give_back()
                self._ready(counter.scope)

    def _rest(self, scope: Scope) -> None:
        """Ask again in a moment."""
        scope.resting = True

        def end() -> None:
            self._timers.discard(timer)
            scope.resting = False
            self._ready(scope)

        timer = asyncio.get_running_loop().call_later(REST, end)
        self._timers.add(timer)

    def _give_back(self, scope: Scope) -> None:
        """Return all that is in hand: it is not needed any more."""
        scope.resting = False
        for counter in scope.cells:
            counter.give_back()
        self._ready(scope)

    def _refill(self, scope: Scope) -> None:
        scope.refill = True
        self._ready(scope)

    # --- answers

    def _expire(self, waiter: Waiter) -> None:
        """The time to wait is over."""
        if waiter.held is None:
            self._answer(waiter, self._without_store(waiter.claim))
            return
        meter, cost = waiter.held
        if waiter.held == lacking(waiter.part(meter.scope)):
            meter.counter.soften(self._clock.local())
        self._answer(waiter, held_elsewhere(meter, cost, self._clock))

    def _expire_scope(self, scope: Scope) -> None:
        waiters, scope.waiting = scope.waiting, []
        for waiter in waiters:
            if waiter.done is not None:
                self._expire(waiter)

    def _answer_all(self, answers: list[tuple[Waiter, Outcome]]) -> None:
        for waiter, outcome in answers:
            self._answer(waiter, outcome)

    def _answer(self, waiter: Waiter, outcome: Outcome) -> None:
        done, waiter.done = waiter.done, None
        if done is None:
            return
        if outcome.verdict is not Verdict.GRANTED:
            self._return(waiter)
        try:
            done(outcome)
        except Exception:
            log.exception("a request failed when it heard the ledger's answer")
