"""Rates and permits over several gateways, whatever happens: in a world of virtual time, see paper/.

A rate with a burst lets through no more than rate × t + burst in any stretch of time. Permits are never more than there
may be, and all of them are there again when what had them has ended, however that was.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from gateway.gate import Turns
from gateway.gate.queue import Patient, waits_of
from gateway.model import Charge, Kind, Limit, Outcome, Over, Period, Verdict
from gateway.quota.store import StoreLedger

from .paper.gateway import Make, PaperGateway, Request, store_ledger
from .paper.loop import PaperLoop, Process
from .paper.network import CALM, PaperTopology, Weather
from .paper.schedules import WEATHERS
from .paper.world import World

GATEWAYS = 3
OPENING = 6.0  # seconds until a new store's fence is open
REST = 12.0  # seconds in which all that was disturbed comes to rest: the fence, and the life of what the dead held
WAIT, TIMEOUT = 1.5, 0.1  # seconds; the ledger's own is shorter
SHORT = 3.0  # seconds of a fault: what is held lives longer

Step = tuple[Any, ...]


def rate(value: int, burst: int) -> Limit:
    return Limit(plan="gold", kind=Kind.RATE, period=Period.SECOND, value=value, burst=burst)


def at_once(value: int) -> Limit:
    return Limit(plan="gold", kind=Kind.CONCURRENT, period=Period.ETERNITY, value=value)


class Waiting:
    """A ledger before which requests wait for their turn, as the gate has it."""

    def __init__(self, ledger: StoreLedger, loop: PaperLoop) -> None:
        self.start, self.close = ledger.start, ledger.close
        self._ledger = ledger
        self._turns = Turns(ledger, loop, ledger.clock.earliest)

    def claim(self, scope: str, charges: tuple[Charge, ...]) -> Patient:
        return Patient(self._ledger.claim(scope, charges), waits_of([(scope, charges)]))

    def consume(self, claim: Patient, done: Callable[[Outcome], None]) -> Outcome | None:
        ask: Any = Ask()
        return self._turns.consume(ask, claim, done)


class Ask:
    turn = None
    gone = False


def waiting_ledger() -> Make:
    def make(topology: PaperTopology, process: Process) -> Any:
        return Waiting(StoreLedger(topology, clock=process.clock), process._loop)

    return make


class UnderWay(NamedTuple):
    """A request that was let in, with the process that serves it."""

    gateway: PaperGateway
    request: Request

    @property
    def cost(self) -> int:
        return self.request.charges[0].cost

    @property
    def until(self) -> float:
        return min(self.request.ended, self.gateway.died)


class Play:
    """Does in a world what steps say, to one limit."""

    def __init__(self, seed: int, limit: Limit, make: Make) -> None:
        self.world = World(seed, make, start=-OPENING)
        self.limit = limit
        self.admitted: list[UnderWay] = []
        self.asked: list[Request] = []
        self._last_fault = 0.0

    def run(self, steps: list[Step], check: Callable[[], Any] = lambda: asyncio.sleep(0)) -> None:
        """Then `check`, when all has come to rest."""
        with self.world as world:
            world.run(self._story(steps, check))
            assert world.loop.failures == []

    async def _story(self, steps: list[Step], check: Callable[[], Any]) -> None:
        for _ in range(GATEWAYS):
            await self.start()
        await asyncio.sleep(OPENING)
        for name, *arguments in steps:
            await getattr(self, name)(*arguments)
        await asyncio.sleep(max(0.0, self._last_fault - self.world.loop.time()) + REST)
        await check()

    # --- steps

    async def start(self) -> None:
        await asyncio.wait([self.world.gateway()._starting], timeout=10)

    async def wait(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def ask(self, which: int, cost: int, requests: int, lasts: float) -> None:
        gateway = self.living(which)
        for _ in range(requests if gateway is not None else 0):
            self.one(gateway, cost, lasts)  # type: ignore[arg-type]

    def one(self, gateway: PaperGateway, cost: int, lasts: float) -> Request:
        def heard(request: Request) -> None:
            if request.outcome is not None and request.outcome.verdict is Verdict.GRANTED:
                self.admitted.append(UnderWay(gateway, request))
                if request.outcome.hold is not None:
                    self.world.loop.outside(lasts, self._end, gateway, request)

        request = gateway.ask("mobile", (Charge(self.limit, cost),), heard)
        self.asked.append(request)
        return request

    def _end(self, gateway: PaperGateway, request: Request) -> None:
        if gateway.process.paused:
            self.world.loop.outside(0.1, self._end, gateway, request)
        elif gateway.process.alive and not gateway.closed:
            gateway.end(request, {})

    async def kill(self, which: int) -> None:
        gateway = self.living(which)
        if gateway is not None:
            gateway.kill()
            await self.start()

    async def drain(self, which: int) -> None:
        gateway = self.living(which)
        if gateway is not None:
            for each in [each for each in self.admitted if each.gateway is gateway and each.request.used is None]:
                if each.request.outcome is not None and each.request.outcome.hold is not None:
                    gateway.end(each.request, {})
            await gateway.drain()
            await self.start()

    async def pause(self, which: int, seconds: float) -> None:
        gateway = self.living(which)
        if gateway is not None:
            gateway.process.pause()
            self._for(seconds, gateway.process.resume)

    async def cut(self, which: int, seconds: float) -> None:
        gateway, network, store = self.living(which), self.world.network, self.world.nodes[0].server.name
        if gateway is not None and not network.is_cut(gateway.name, store):
            network.cut(gateway.name, store)
            self._for(seconds, lambda: network.mend(gateway.name, store))

    async def storm(self, weather: str, seconds: float) -> None:
        self.world.network.weather = Weather(**WEATHERS[weather])
        self._for(seconds, lambda: setattr(self.world.network, "weather", CALM))

    async def crash(self, keep: float, seconds: float) -> None:
        server = self.world.nodes[0].server
        if server.up:
            server.crash(silent=False)
            kept = int(len(server.journal) * keep)
            self._for(seconds, lambda: self.world.lose(server, kept))

    async def flush(self) -> None:
        if self.world.nodes[0].server.up:
            self.world.flush(self.world.nodes[0].server)

    # --- tools

    def living(self, which: int) -> PaperGateway | None:
        living = [gateway for gateway in self.world.gateways if gateway.serves]
        return living[which % len(living)] if living else None

    def _for(self, seconds: float, end: Callable[[], Any]) -> None:
        self._last_fault = max(self._last_fault, self.world.loop.time() + seconds)
        self.world.loop.outside(seconds, end)

    # --- what holds

    def fastest(self) -> float:
        """By how many tokens the fastest stretch of time is within what may pass; below 0: too many."""
        passed = sorted((each.request.answered, each.cost) for each in self.admitted)
        burst, per_second = self.limit.burst, self.limit.value
        level, then, least = float(burst), 0.0, float(burst)  # a bucket that fills at the rate is never overdrawn
        for at, cost in passed:
            level, then = min(burst, level + (at - then) * per_second) - cost, at
            least = min(least, level)
        return least

    def most_at_once(self) -> int:
        moments = [(each.request.answered, each.cost) for each in self.admitted]
        moments += [(each.until, -each.cost) for each in self.admitted]
        level = most = 0
        for _, change in sorted(moments):  # what ends at a moment ends before what begins then
            level += change
            most = max(most, level)
        return most

    async def all_is_there(self) -> None:
        """One gateway gets every permit, and nobody one more."""
        gateway = self.living(0)
        assert gateway is not None
        for _ in range(self.limit.value):
            for _ in range(40):
                request = self.one(gateway, 1, 1e6)
                await asyncio.sleep(0.1)
                if granted(request):
                    break
            assert granted(request), f"a permit is missing: {request.outcome}"
        more = self.one(gateway, 1, 1.0)
        await asyncio.sleep(0.1)
        assert more.outcome is not None
        assert more.outcome.verdict is Verdict.REFUSED

    async def all_is_answered(self) -> None:
        for request in self.asked:
            gateway = next(each for each in self.world.gateways if each.name == request.gateway)
            assert request.answers == 1 or gateway.died < float("inf")


def granted(request: Request) -> bool:
    return request.outcome is not None and request.outcome.verdict is Verdict.GRANTED


SECONDS = st.sampled_from([0.02, 0.1, 0.3, 0.8, 2.0, 6.0])
FAULT = st.sampled_from([0.05, 0.5, 1.5, SHORT])
WHICH = st.integers(0, GATEWAYS - 1)
USUAL: tuple[st.SearchStrategy[Step], ...] = (
    st.tuples(st.just("ask"), WHICH, st.sampled_from([1, 1, 1, 2, 3]), st.integers(1, 12), SECONDS),
    st.tuples(st.just("ask"), WHICH, st.just(1), st.integers(1, 30), st.just(0.02)),
    st.tuples(st.just("wait"), SECONDS),
)
FAULTS: dict[str, tuple[st.SearchStrategy[Step], ...]] = {
    "calm": (),
    "deaths": (st.tuples(st.just("kill"), WHICH), st.tuples(st.just("drain"), WHICH)),
    "cuts and pauses": (st.tuples(st.just("cut"), WHICH, FAULT), st.tuples(st.just("pause"), WHICH, FAULT)),
    "storms": (st.tuples(st.just("storm"), st.sampled_from(sorted(WEATHERS)), FAULT),),
    "loss": (
        st.tuples(st.just("flush")),
        st.tuples(st.just("crash"), st.sampled_from([0.0, 0.5, 1.0]), FAULT),
        st.tuples(st.just("kill"), WHICH),
    ),
}
RATES = [rate(5, 1), rate(20, 10), rate(100, 30), rate(2, 40)]
PERMITS = [at_once(1), at_once(3), at_once(10), at_once(40)]


FORGOTTEN: list[Step] = [  # what one gateway has the store forgets, and another one asks until it is open again
    *(("ask", 0, 1, 40, 9.0), ("wait", 0.3), ("flush",)),
    *(step for _ in range(14) for step in (("ask", 1, 1, 40, 9.0), ("wait", 0.5))),
]


def steps(kind: str) -> st.SearchStrategy[list[Step]]:
    return st.lists(st.one_of(*USUAL, *USUAL, *FAULTS[kind]), min_size=3, max_size=14)


@pytest.fixture(autouse=True)
def silence() -> Iterator[None]:
    """Faults are many, and so are warnings."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


FEW = settings(
    max_examples=10,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.reuse, Phase.generate),  # a world is slow to shrink
)


@pytest.mark.parametrize("kind", FAULTS)
def test_no_more_passes_than_rate_times_t_and_the_burst(kind: str) -> None:
    @FEW
    @given(st.integers(0, 2**16), st.sampled_from(RATES), steps(kind))
    @example(1, rate(2, 40), FORGOTTEN)
    def holds(seed: int, limit: Limit, some: list[Step]) -> None:
        play = Play(seed, limit, store_ledger())
        play.run(some, play.all_is_answered)
        assert play.fastest() > -1e-3

    holds()


@pytest.mark.parametrize("kind", FAULTS)
def test_who_waits_for_a_turn_is_answered_in_time_and_no_more_are_let_in(kind: str) -> None:
    @FEW
    @given(st.integers(0, 2**16), st.sampled_from([*RATES, *PERMITS]), steps(kind))
    def holds(seed: int, limit: Limit, some: list[Step]) -> None:
        waits = replace(limit, over=Over.WAIT, wait=WAIT, places=20)
        play = Play(seed, waits, waiting_ledger())
        play.run(some, play.all_is_answered)
        if limit.kind is Kind.RATE:
            assert play.fastest() > -1e-3
        else:
            assert play.most_at_once() <= limit.value
        if kind in ("calm", "deaths"):
            assert all(each.answered - each.asked < WAIT + TIMEOUT for each in play.asked if each.answers)

    holds()


@pytest.mark.parametrize("kind", FAULTS)
def test_no_more_are_under_way_than_may_be_and_all_permits_come_back(kind: str) -> None:
    @FEW
    @given(st.integers(0, 2**16), st.sampled_from(PERMITS), steps(kind))
    @example(1, at_once(3), FORGOTTEN)
    def holds(seed: int, limit: Limit, some: list[Step]) -> None:
        play = Play(seed, limit, store_ledger())
        play.run(some, play.all_is_there)
        assert play.most_at_once() <= limit.value

    holds()
