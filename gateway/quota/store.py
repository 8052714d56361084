"""A ledger in Redis or Valkey, shared by all gateways.

A request for which units are in hand is answered at once. What is not in hand is asked of the store, for all that
wait in a scope in one call; there is one call per scope at a time, and what arrives meanwhile goes with the next.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import secrets
from collections.abc import Callable
from weakref import WeakValueDictionary

from redis.asyncio import Redis

from gateway.model import Charge, Outcome
from gateway.quota.calls import Answer, Call, Group
from gateway.quota.clock import StoreClock, boottime
from gateway.quota.counters import UNAVAILABLE, Claim
from gateway.quota.deadlines import Deadlines
from gateway.quota.dispatch import Dispatcher
from gateway.quota.hand import count, scarcest, take
from gateway.quota.scopes import Meter, Scope, Waiter

REPORT = 0.4  # with a slow call still within a second
KNOWN = 5_000  # scopes kept in mind after their last claim, at 2 to 4 KB

log = logging.getLogger(__name__)


class StoreLedger:
    """Counts in the store behind `redis`. `start` it in the loop that uses it.

    `timeout`: seconds that a request waits for the store, then it is UNAVAILABLE. `report`: seconds between reports
    of what was counted without asking. `clock`: monotonic seconds.
    `on_call` hears of each round trip: seconds, and whether it went well.
    """

    def __init__(
        self,
        redis: Redis,
        *,
        prefix: str = "gw",
        timeout: float = 0.05,
        report: float = REPORT,
        clock: Callable[[], float] = boottime,
        on_call: Callable[[float, bool], None] = lambda seconds, ok: None,
    ) -> None:
        self.clock = StoreClock(clock)
        self._prefix = prefix
        self._timeout = timeout
        self._report = report
        self._process = secrets.token_hex(8)
        self._numbers = itertools.count(1)
        self._scopes: WeakValueDictionary[str, Scope] = WeakValueDictionary()
        self._nobody = Scope(prefix, self._process, "~", {})  # no application has this name
        self._known: dict[Scope, None] = {}  # the latest last
        self._debtors: dict[Scope, None] = {}
        self._ready: dict[Scope, None] = {}
        self._deadlines: Deadlines[Waiter] = Deadlines(lambda waiter: self._answer(waiter, UNAVAILABLE))
        self._dispatcher = Dispatcher(redis, self, self.clock, timeout, on_call)
        self._ticking: asyncio.TimerHandle | None = None
        self._closed = False

    async def start(self) -> None:
        """Learn the store's time. A store that is away does not prevent the start: see `down`."""
        await self._dispatcher.ping()
        self._tick()

    async def close(self) -> None:
        """Report what is owed, answer who waits, and close the connections. `redis` stays its owner's."""
        self._closed = True
        if self._ticking is not None:
            self._ticking.cancel()
        self._collect()
        await self._dispatcher.close()
        self._deadlines.expire_all()

    @property
    def down(self) -> bool:
        """Whether the store is known to be away."""
        return self._dispatcher.down

    @property
    def owes(self) -> bool:
        """Whether something was counted that the store does not know yet."""
        return bool(self._debtors) or self._dispatcher.busy

    async def check(self) -> bool:
        """Whether the store counts now."""
        return await self._dispatcher.ping()

    def claim(self, scope: str, charges: tuple[Charge, ...]) -> Claim[Meter]:
        """A handle for `consume`; raises ValueError for charges that share a counter or are out of range."""
        known = self._scopes.get(scope)
        if known is None:
            known = self._scopes[scope] = Scope(self._prefix, self._process, scope, self._debtors)
        self._known.pop(known, None)
        self._known[known] = None
        if len(self._known) > KNOWN:
            oldest = next(iter(self._known))
            del self._known[oldest]
            oldest.forget()
        return known.claim(charges)

    def consume(self, claim: Claim[Meter], done: Callable[[Outcome], None]) -> Outcome | None:
        """Take a claim's costs from all its limits, or from none; None: `done` hears it within the timeout, once."""
        outcome = take(claim, self.clock)
        if outcome is None:
            if self._closed:
                return UNAVAILABLE
            waiter = Waiter(claim, done, asyncio.get_running_loop().time() + self._timeout)
            self._deadlines.add(waiter)
            scope = claim.firm[0][0].scope
            scope.waiting.append(waiter)
            if scope.call is None:
                self._ready[scope] = None
                self._dispatcher.wake()
        return outcome

    def next_calls(self, most: int) -> list[Call]:
        """Calls for the scopes that are ready, at most so many."""
        calls: list[Call] = []
        while self._ready and len(calls) < most:
            scope = next(iter(self._ready))
            del self._ready[scope]
            call = self._call(scope)
            if call is not None:
                calls.append(call)
        return calls

    def pulse(self) -> Call:
        """A call about nothing."""
        call = Call(next(self._numbers), self._nobody, [], self.clock.local())
        call.pack(self.clock.seen)
        return call

    def answered(self, call: Call, answer: Answer) -> None:
        """Hand out what the store granted. What nobody waits for any more stays in hand."""
        scope = call.scope
        if scope.call is not call:
            return
        scope.call = None
        call.settle(answer)
        now = self.clock.earliest()
        answers: list[tuple[Waiter, Outcome]] = []
        for group, requests in zip(call.groups, answer.granted, strict=True):
            waiting = [waiter for waiter in group.waiters if waiter.done is not None]
            lucky = waiting[:requests]
            group.keep(requests - len(lucky))
            if lucky:
                count(group.claim, len(lucky), now)
            outcome = scarcest(group.claim)
            answers += ((waiter, outcome) for waiter in lucky)
            answers += self._again(scope, waiting[requests:])
        self._wait(scope, [])
        self._answer_all(answers)

    def failed(self, call: Call) -> None:
        """Nobody is let in without being counted."""
        scope = call.scope
        if scope.call is not call:
            return
        scope.call = None
        call.take_back()
        if scope.waiting:
            self._ready[scope] = None
        self._answer_all([(waiter, UNAVAILABLE) for group in call.groups for waiter in group.waiters])

    def _again(self, scope: Scope, waiters: list[Waiter]) -> list[tuple[Waiter, Outcome]]:
        """Decide with what is known now; who cannot be answered waits on."""
        outcomes = [(waiter, take(waiter.claim, self.clock)) for waiter in waiters]
        self._wait(scope, [waiter for waiter, outcome in outcomes if outcome is None])
        return [(waiter, outcome) for waiter, outcome in outcomes if outcome is not None]

    def _wait(self, scope: Scope, waiters: list[Waiter]) -> None:
        scope.waiting += waiters
        if scope.waiting and scope.call is None:
            self._ready[scope] = None
            self._dispatcher.wake()

    def _call(self, scope: Scope) -> Call | None:
        """Everything that waits in a scope as one call; None if it can be decided without."""
        waiting, scope.waiting = scope.waiting, []
        answers: list[tuple[Waiter, Outcome]] = []
        by_claim: dict[Claim[Meter], list[Waiter]] = {}
        for waiter in waiting:
            if waiter.done is None:
                continue
            outcome = take(waiter.claim, self.clock)
            if outcome is None:
                by_claim.setdefault(waiter.claim, []).append(waiter)
            else:
                answers.append((waiter, outcome))
        call = None
        if by_claim or scope.owing:
            call = scope.call = self._packed(scope, by_claim)
        self._answer_all(answers)
        return call

    def _packed(self, scope: Scope, by_claim: dict[Claim[Meter], list[Waiter]]) -> Call:
        now = self.clock.earliest()
        groups = [
            Group(claim, tuple(meter.at(now) for meter, _ in claim.firm), waiters)
            for claim, waiters in by_claim.items()
        ]
        call = Call(next(self._numbers), scope, groups, self.clock.local())
        call.pack(self.clock.seen)
        self._debtors.pop(scope, None)
        return call

    def _answer_all(self, answers: list[tuple[Waiter, Outcome]]) -> None:
        for waiter, outcome in answers:
            self._answer(waiter, outcome)

    def _answer(self, waiter: Waiter, outcome: Outcome) -> None:
        done, waiter.done = waiter.done, None
        if done is None:
            return
        try:
            done(outcome)
        except Exception:
            log.exception("a request failed when it heard the ledger's answer")

    def _tick(self) -> None:
        self._collect()
        self._dispatcher.heartbeat()
        self._ticking = asyncio.get_running_loop().call_later(self._report, self._tick)

    def _collect(self) -> None:
        """Make ready what owes a report."""
        for scope in self._debtors:
            if scope.call is None:
                self._ready[scope] = None
        if self._ready:
            self._dispatcher.wake()
