"""Carries calls to the store: many in one round trip, lost ones again, gently while the store is away."""

from __future__ import annotations

import asyncio
import logging
import random
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from redis.asyncio import Redis
from redis.exceptions import (
    ClusterDownError,
    MasterDownError,
    ReadOnlyError,
    ResponseError,
    TryAgainError,
)

from gateway.quota import script
from gateway.quota.calls import REMEMBERED, Answer, Call
from gateway.quota.clock import StoreClock
from gateway.store.pipe import Pipe

LANES = 2  # round trips under way at once
CALLS = 500  # in one round trip, so that none holds the store for long
PATIENCE = 1.0  # seconds that a round trip may take before its connection is given up
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 1.0  # seconds between attempts while the store is away
QUIET = 1.0  # seconds without an answer after which the store is asked for a sign of life

OF_ONE_CALL = ("WRONGTYPE", "CORRUPT", "SUPERSEDED")  # errors that say nothing about the store
MOVING = (ReadOnlyError, MasterDownError, ClusterDownError, TryAgainError)  # connect again, send again

log = logging.getLogger(__name__)


class Caller(Protocol):
    """Who has calls to make."""

    def next_calls(self, most: int) -> list[Call]:
        """Calls that are ready, at most so many."""

    def pulse(self) -> Call:
        """A call about nothing: it shows that the store counts, and tells its time."""

    def answered(self, call: Call, answer: Answer) -> None:
        """The store has counted `call`."""

    def failed(self, call: Call) -> None:
        """The store has refused `call`, or nobody knows whether it was counted and it is too late to ask. Does
        nothing for a call that has been answered."""


class Dispatcher:
    """Owns the connections and the decision when to use them."""

    def __init__(
        self, redis: Redis, caller: Caller, clock: StoreClock, timeout: float, on_call: Callable[[float, bool], None]
    ) -> None:
        """`timeout`: seconds after which an unanswered call shows that the store is down."""
        self._caller = caller
        self._clock = clock
        self._timeout = timeout
        self._patience = max(PATIENCE, 4 * timeout)
        self._on_call = on_call
        self._idle = [Pipe(redis) for _ in range(LANES)]
        self._lanes: dict[asyncio.Task[None], float] = {}  # and since when, local time
        self._lost: deque[Call] = deque()  # sent, not answered
        self._failures = 0  # in a row
        self._pause: asyncio.TimerHandle | None = None
        self._scheduled = False
        self._answered = clock.local()

    @property
    def down(self) -> bool:
        """Whether the store is known to be away."""
        if self._failures > 1:  # the first may be an idle connection that was closed
            return True
        since = min(self._lanes.values(), default=None)
        return since is not None and self._clock.local() - since > self._timeout

    @property
    def busy(self) -> bool:
        """Whether something is under way, or waits to be sent again."""
        return bool(self._lanes or self._lost)

    def wake(self) -> None:
        """There are calls to make: what comes in one tick of the loop goes out together."""
        if not self._scheduled and self._idle and self._pause is None:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._dispatch)

    def heartbeat(self) -> None:
        """See that the store still counts if it has been quiet."""
        if self._clock.local() - self._answered >= QUIET and not self._lanes and self._pause is None:
            self._start([self._caller.pulse()])

    async def ping(self) -> bool:
        """Whether the store counts now; learns its time, and teaches it the script."""
        if self._idle and self._pause is None and not self._lost:
            await asyncio.wait([self._start([self._caller.pulse()])])
        return not self._failures and not self._lost and not self.down

    async def close(self) -> None:
        """Finish what is under way if the store answers, and close the connections."""
        await asyncio.sleep(0)  # what was woken in this tick goes out
        if self._pause is None and self._lanes:
            await asyncio.wait(self._lanes, timeout=self._patience)
        if self._pause is not None:
            self._pause.cancel()
        lanes = list(self._lanes)
        for lane in lanes:
            lane.cancel()
        await asyncio.gather(*lanes, return_exceptions=True)
        for pipe in self._idle:
            await pipe.close()
        self._idle.clear()
        while self._lost:
            self._caller.failed(self._lost.popleft())

    def _dispatch(self) -> None:
        self._scheduled = False
        while self._idle and self._pause is None and not (self._failures and self._lanes):
            calls = self._gather()
            if not calls:
                return
            self._start(calls)

    def _gather(self) -> list[Call]:
        calls = [self._lost.popleft() for _ in range(min(CALLS, len(self._lost)))]
        return calls + self._caller.next_calls(CALLS - len(calls))

    def _start(self, calls: list[Call]) -> asyncio.Task[None]:
        lane = asyncio.get_running_loop().create_task(self._lane(self._idle.pop(), calls))
        self._lanes[lane] = self._clock.local()
        return lane

    async def _lane(self, pipe: Pipe, calls: list[Call]) -> None:
        lane = asyncio.current_task()
        assert lane is not None
        try:
            while await self._carry(pipe, calls):
                calls = self._gather()
                if not calls:
                    return
                self._lanes[lane] = self._clock.local()
        except BaseException:
            for call in calls:
                self._caller.failed(call)
            raise
        finally:
            del self._lanes[lane]
            self._idle.append(pipe)

    async def _carry(self, pipe: Pipe, calls: list[Call]) -> bool:
        """One round trip; False when the store had better be left alone for a moment."""
        sent = self._clock.local()
        try:
            answers = await script.run(pipe, [call.arguments for call in calls], self._patience)
        except Exception as error:  # redis-py and uvloop raise many kinds when a connection breaks
            self._on_call(self._clock.local() - sent, False)
            self._lose(calls)
            self._rest(error)
            return False
        received = self._clock.local()
        heard = [self._hear(call, answer, received) for call, answer in zip(calls, answers, strict=True)]
        trouble = next((error for error in heard if error is not None), None)
        self._on_call(received - sent, trouble is None)
        if trouble is not None:
            await pipe.close()
            self._rest(trouble)
            return False
        self._recover(received)
        return True

    def _hear(self, call: Call, answer: Any, received: float) -> ResponseError | None:
        """Pass an answer on; gives an error that concerns the store as a whole."""
        if isinstance(answer, MOVING):
            self._lose([call])
            return answer
        if isinstance(answer, ResponseError):
            self._caller.failed(call)
            if any(word in str(answer) for word in OF_ONE_CALL):
                log.error("the store cannot count for %r: %s", call.scope.name, answer)
                return None
            return answer
        counted = Answer.parse(answer)
        self._clock.learn(counted.now, call.sent, received)
        self._caller.answered(call, counted)
        return None

    def _lose(self, calls: list[Call]) -> None:
        """Keep calls that may have been counted, to ask again while the store still remembers."""
        for call in calls:
            if self._clock.local() - call.sent < REMEMBERED / 2:
                self._lost.append(call)
                continue
            log.warning("a call about %r was never answered; what it granted stays unused", call.scope.name)
            self._caller.failed(call)

    def _rest(self, error: Exception) -> None:
        """Leave the store alone for a while: not after the first failure, and longer after each further one."""
        if self._pause is not None:
            return
        self._failures += 1
        if self._failures == 2:
            log.warning("the store is away: %s: %s", type(error).__name__, error)
        pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (min(self._failures, 10) - 2)) if self._failures > 1 else 0.0
        jitter = random.uniform(0.5, 1)  # noqa: S311 - so that gateways do not return together
        self._pause = asyncio.get_running_loop().call_later(pause * jitter, self._resume)

    def _resume(self) -> None:
        self._pause = None
        self._dispatch()
        if not self._lanes and self._idle:
            self._start([self._caller.pulse()])

    def _recover(self, received: float) -> None:
        self._answered = received
        if self._failures > 1:
            log.warning("the store is back")
        self._failures = 0
