"""A ledger in Redis or Valkey, shared by all gateways.

A request for which units are in hand is answered at once. What is not in hand is asked of the store, for all that
wait in a scope in one call; there is one call per scope at a time, and what arrives meanwhile goes with the next.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import secrets
from collections.abc import Callable, Iterator
from weakref import WeakValueDictionary

from gateway.model import Charge, Outcome
from gateway.quota.calls import Answer, Call, Group
from gateway.quota.clock import StoreClock, boottime
from gateway.quota.counters import UNAVAILABLE, Claim
from gateway.quota.deadlines import Deadlines
from gateway.quota.dispatch import Dispatcher
from gateway.quota.hand import held_elsewhere, known_refusal, lacking, scarcest, spend, take
from gateway.quota.leases import LOOK, Leases
from gateway.quota.memo import Memo
from gateway.quota.page import Page, PageFullError
from gateway.quota.scopes import NOWHERE, Counter, Meter, Scope, Waiter
from gateway.store import StoreAway
from gateway.store.fence import Fence
from gateway.store.script import Command
from gateway.store.topology import Node, Topology

KNOWN = 5_000  # scopes kept in mind after their last claim, at 2 to 4 KB
REST = 0.015  # seconds after which a scope asks again for what others hold
SOFT = 0.25  # seconds for which it is believed that others hold the rest
SLICE = 500  # counters looked at in one go

log = logging.getLogger(__name__)


class StoreLedger:
    """Counts in the store of `topology`. `start` it in the loop that uses it.

    `timeout`: seconds that a request waits for the store. `look`: seconds between looks at what is idle or has to be
    reported. `fence`: seconds for which a store that may have lost data waits for all processes; `durable`: a restart
    of it loses nothing acknowledged. `wait`: replicas that must have a grant before it is used. `clock`: monotonic
    seconds. `page`: memory that outlives the process. `on_call` hears of each round trip: seconds, and whether it
    went well.
    """

    def __init__(
        self,
        topology: Topology,
        *,
        prefix: str = "gw",
        timeout: float = 0.05,
        look: float = LOOK,
        fence: float = 5.0,
        durable: bool = False,
        wait: int = 0,
        clock: Callable[[], float] = boottime,
        page: Page | None = None,
        on_call: Callable[[float, bool], None] = lambda seconds, ok: None,
    ) -> None:
        self.clock = StoreClock(clock)
        self._topology = topology
        self._prefix = prefix
        self._timeout = timeout
        self._look = look
        self._fence = fence
        self._durable = durable
        self._wait = wait
        self._on_call = on_call
        self._process = secrets.token_hex(8)
        self._numbers = itertools.count(1)
        self._leases = Leases(page or Page())
        self._leases.page.sign(self._process)
        self._memo = Memo()
        self._scopes: WeakValueDictionary[str, Scope] = WeakValueDictionary()
        self._known: dict[Scope, None] = {}  # the latest last
        self._dispatchers: dict[Node, Dispatcher] = {}
        self._ready: dict[Node, dict[Scope, None]] = {}
        self._deadlines: Deadlines[Waiter] = Deadlines(self._expire)
        self._timers: set[asyncio.TimerHandle] = set()
        self._ticking: asyncio.Handle | None = None
        self._moving: asyncio.Task[bool] | None = None
        self._closed = False

    async def start(self) -> None:
        """Learn the store's time. A store that is away does not prevent the start: see `down`."""
        await self._topology.refresh()
        for node in self._topology.nodes:
            await self._dispatcher(node).ping()
        self._tick()

    async def close(self) -> None:
        """Report and return everything, answer who waits, and close the connections. `topology` stays its owner's."""
        self._closed = True
        if self._ticking is not None:
            self._ticking.cancel()
        for timer in self._timers:
            timer.cancel()
        for scope in {counter.scope for counter in self._leases.counters}:
            self._give_back(scope)
        for dispatcher in self._dispatchers.values():
            await dispatcher.close()
        if self._moving is not None:
            self._moving.cancel()
        self._deadlines.expire_all()

    @property
    def down(self) -> bool:
        """Whether the store is known to be away."""
        return not self._dispatchers or any(dispatcher.down for dispatcher in self._dispatchers.values())

    @property
    def fenced(self) -> bool:
        """Whether the store waits for what processes remember, and grants nothing."""
        return any(dispatcher.fenced for dispatcher in self._dispatchers.values())

    @property
    def owes(self) -> bool:
        """Whether something was counted that the store does not know yet."""
        page = self._leases.page
        busy = any(dispatcher.busy for dispatcher in self._dispatchers.values())
        return busy or any(counter.owes(page) for counter in self._leases.counters)

    @property
    def in_hand(self) -> int:
        """Units leased and not used."""
        return sum(counter.hand for counter in self._leases.counters)

    @property
    def calls(self) -> int:
        """Calls made to the store so far."""
        return sum(dispatcher.calls for dispatcher in self._dispatchers.values())

    async def check(self) -> bool:
        """Whether the store counts now."""
        return all([await dispatcher.ping() for dispatcher in self._dispatchers.values()])

    def claim(self, scope: str, charges: tuple[Charge, ...]) -> Claim[Meter]:
        """A handle for `consume`; raises ValueError for charges that share a counter or are out of range."""
        known = self._scopes.get(scope)
        if known is None:
            known = self._scopes[scope] = Scope(self._prefix, self._process, scope)
        self._known.pop(known, None)
        self._known[known] = None
        if len(self._known) > KNOWN:
            oldest = next(iter(self._known))
            del self._known[oldest]
            oldest.forget()
        return known.claim(charges)

    def consume(self, claim: Claim[Meter], done: Callable[[Outcome], None]) -> Outcome | None:
        """Take a claim's costs from all its limits, or from none; None: `done` hears it within the timeout, once."""
        try:
            outcome = take(claim, self.clock, self._leases, self._refill)
        except PageFullError:
            return self._without_store(claim)
        if outcome is not None:
            return outcome
        scope = claim.firm[0][0].scope
        node = self._node(scope)
        if self._closed or node is None or self._dispatchers[node].down:
            return self._without_store(claim)
        waiter = Waiter(claim, done, asyncio.get_running_loop().time() + self._timeout)
        self._deadlines.add(waiter)
        scope.waiting.append(waiter)
        self._make_ready(scope)
        return None

    # --- what a dispatcher asks and tells

    def next_calls(self, node: Node, most: int) -> list[Call]:
        """Calls for the scopes that are ready, at most so many."""
        calls: list[Call] = []
        ready = self._ready.get(node, {})
        while ready and len(calls) < most:
            scope = next(iter(ready))
            del ready[scope]
            if self._node(scope) is not node:
                self._make_ready(scope)
            elif (call := self._call(scope)) is not None:
                calls.append(call)
        return calls

    def remembered(self, node: Node, fence: Fence) -> Iterator[Command]:
        """What a node may have forgotten, as calls of publish.lua."""
        return self._memo.publications(lambda tag: self._node_of(tag) is node, fence, self.clock.earliest())

    def answered(self, call: Call, answer: Answer) -> None:
        """Hand out what the store granted. What nobody waits for any more stays in hand."""
        scope = call.scope
        scope.call = None
        call.settle(answer)
        self._memo.note(call.counters, answer.states)
        now = self.clock.earliest()
        answers: list[tuple[Waiter, Outcome]] = []
        for group, requests in zip(call.groups, answer.granted, strict=True):
            waiting = [waiter for waiter in group.waiters if waiter.done is not None]
            lucky = waiting[:requests]
            if lucky:
                spend(group.claim, group.counters, len(lucky), self._leases, now)
            outcome = scarcest(group.claim)
            answers += ((waiter, outcome) for waiter in lucky)
            scope.waiting += waiting[requests:]
        answers += self._again(scope)
        self._answer_all(answers)
        if self._closed:
            self._give_back(scope)

    def undone(self, call: Call) -> None:
        """Who waited waits on."""
        call.undo()
        self._put_back(call)

    def voided(self, call: Call) -> None:
        """Nobody is let in without being counted; what may have been granted is lost."""
        lost = call.void()
        if lost:
            log.warning("%d units of %r may stay held for nobody in this window", lost, call.scope.name)
        self._put_back(call)

    def failed(self, call: Call) -> None:
        """Who waited hears it at once; what was to be reported waits for the next look."""
        call.void()
        call.scope.call = None
        for group in call.groups:
            self._answer_all([(waiter, UNAVAILABLE) for waiter in group.waiters])
        if call.scope.waiting:
            self._make_ready(call.scope)

    def _put_back(self, call: Call) -> None:
        scope = call.scope
        scope.call = None
        scope.waiting += (waiter for group in call.groups for waiter in group.waiters if waiter.done is not None)
        self._make_ready(scope)

    # --- one scope

    def _again(self, scope: Scope) -> list[tuple[Waiter, Outcome]]:
        """Decide with what is known now; who cannot be answered waits on."""
        waiters, scope.waiting = scope.waiting, []
        answers: list[tuple[Waiter, Outcome]] = []
        for waiter in waiters:
            outcome = self._take(waiter)
            if outcome is not None:
                answers.append((waiter, outcome))
                continue
            scope.waiting.append(waiter)
            meter = lacking(waiter.claim)
            if meter is not None and meter.counter.asked > -1:
                waiter.meanwhile = held_elsewhere(meter)
        if self._closed:
            self._expire_all(scope)
        elif scope.waiting:
            self._rest(scope)
        elif scope.refill:
            self._make_ready(scope)
        return answers

    def _take(self, waiter: Waiter) -> Outcome | None:
        if waiter.done is None:
            return UNAVAILABLE  # nobody hears it
        try:
            return take(waiter.claim, self.clock, self._leases, self._refill)
        except PageFullError:
            return self._without_store(waiter.claim)

    def _rest(self, scope: Scope) -> None:
        """Others hold what is left: ask again in a moment."""
        scope.resting = True

        def end() -> None:
            self._timers.discard(timer)
            scope.resting = False
            self._make_ready(scope)

        timer = asyncio.get_running_loop().call_later(REST, end)
        self._timers.add(timer)

    def _call(self, scope: Scope) -> Call | None:
        """Everything that waits in a scope as one call; None if it can be decided without."""
        waiting, scope.waiting = scope.waiting, []
        answers: list[tuple[Waiter, Outcome]] = []
        by_claim: dict[Claim[Meter], list[Waiter]] = {}
        for waiter in waiting:
            outcome = self._take(waiter)
            if outcome is None:
                by_claim.setdefault(waiter.claim, []).append(waiter)
            elif waiter.done is not None:
                answers.append((waiter, outcome))
        call = None
        page = self._leases.page
        if by_claim or scope.refill or any(counter.idle or counter.owes(page) for counter in scope.cells):
            call = self._packed(scope, by_claim)
        self._answer_all(answers)
        return call

    def _packed(self, scope: Scope, by_claim: dict[Claim[Meter], list[Waiter]]) -> Call | None:
        now = self.clock.earliest()
        groups = [
            Group(claim, tuple(meter.at(now) for meter, _ in claim.firm), waiters)
            for claim, waiters in by_claim.items()
        ]
        try:
            call = Call(next(self._numbers), scope, groups, self._leases, self.clock.local())
        except PageFullError:
            log.exception("more counters are in use at a time than this process can lease")
            return None  # who waits hears it in time
        if not call.counters:
            return None
        scope.call = call
        return call

    def _give_back(self, scope: Scope) -> None:
        """Return all that is in hand: it is not needed any more."""
        scope.resting = False
        for counter in scope.cells:
            counter.idle = counter.hand > 0
        self._make_ready(scope)

    def _refill(self, scope: Scope) -> None:
        scope.refill = True
        self._make_ready(scope)

    # --- answers

    def _expire(self, waiter: Waiter) -> None:
        """The time to wait is over."""
        if waiter.meanwhile is not None:
            meter = lacking(waiter.claim)
            if meter is not None:
                meter.counter.soft_until = self.clock.local() + SOFT
            self._answer(waiter, waiter.meanwhile)
        else:
            self._answer(waiter, self._without_store(waiter.claim))

    def _expire_all(self, scope: Scope) -> None:
        waiters, scope.waiting = scope.waiting, []
        for waiter in waiters:
            if waiter.done is not None:
                self._expire(waiter)

    def _without_store(self, claim: Claim[Meter]) -> Outcome:
        return known_refusal(claim, self.clock) or UNAVAILABLE

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

    # --- nodes

    def _make_ready(self, scope: Scope) -> None:
        """Let the scope's calls be made, if there is none under way."""
        if scope.call is None and not scope.resting:
            node = self._node(scope)
            if node is not None:
                self._ready[node][scope] = None
                self._dispatchers[node].wake()

    def _node(self, scope: Scope) -> Node | None:
        return self._node_of(scope.tag)

    def _node_of(self, tag: str) -> Node | None:
        try:
            node = self._topology.node(tag)
        except StoreAway:
            return None
        if node not in self._dispatchers:
            self._dispatcher(node)
        return node

    def _dispatcher(self, node: Node) -> Dispatcher:
        fence = Fence(self._prefix, node, self._process, seconds=self._fence, durable=self._durable)
        self._ready[node] = {}
        self._dispatchers[node] = made = Dispatcher(
            node,
            self,
            self.clock,
            fence,
            prefix=self._prefix,
            timeout=self._timeout,
            wait=self._wait,
            on_call=self._on_call,
            on_moved=self._moved,
        )
        return made

    def _moved(self) -> None:
        """A node is not what it was: look where everything is."""
        if self._moving is None or self._moving.done():
            self._moving = asyncio.get_running_loop().create_task(self._topology.refresh())

    # --- time

    def _tick(self) -> None:
        for dispatcher in self._dispatchers.values():
            dispatcher.heartbeat()
        self._memo.forget_ended(self.clock.earliest())
        self._look_on(iter(tuple(self._leases.counters)))

    def _look_on(self, counters: Iterator[Counter]) -> None:
        """Look at some counters; the loop has its turn in between."""
        loop = asyncio.get_running_loop()
        for seen, counter in enumerate(counters, 1):
            if counter.place != NOWHERE and self._leases.look(counter):
                self._make_ready(counter.scope)
            if seen == SLICE:
                self._ticking = loop.call_soon(self._look_on, counters)
                return
        self._ticking = loop.call_later(self._look, self._tick)
