"""Carries calls to one server of the store: many in one round trip, lost ones again, gently while it is away.

Before calls go out it is known that the server still is in the epoch in which it lost nothing; see gateway.store.fence.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any, Protocol

from redis.exceptions import ClusterError, MasterDownError, MovedError, ReadOnlyError, ResponseError, TryAgainError

from gateway.quota.calls import REMEMBERED, Answer, Call
from gateway.quota.clock import StoreClock
from gateway.store import keys
from gateway.store.fence import Fence
from gateway.store.script import Command, Script
from gateway.store.topology import Link, Node

LANES = 2  # round trips under way at once
CALLS = 500  # in one round trip, so that none holds the store for long
PATIENCE = 1.0  # seconds that a round trip may take before its connection is given up
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 1.0  # seconds between attempts while the store is away
LOOK = 1.0  # seconds between looks at the store's epoch

OF_ONE_CALL = ("WRONGTYPE", "CORRUPT", "SUPERSEDED")  # errors that say nothing about the store
ANOTHER_EPOCH = ("EPOCH", "FENCED")
MOVED = (MovedError, ReadOnlyError, MasterDownError, TryAgainError, ClusterError)  # look for the primary again
ELSEWHERE = "non local key"  # the server does not hold the slot of its own epoch's record any more

CONSUME = Script("gateway.quota", "consume.lua")
PUBLISH = Script("gateway.quota", "publish.lua")

log = logging.getLogger(__name__)


class NotReplicatedError(Exception):
    """Too few replicas have what was granted."""


class Caller(Protocol):
    """Who has calls to make."""

    def next_calls(self, node: Node, most: int) -> list[Call]:
        """Calls to a node that are ready, at most so many."""

    def remembered(self, node: Node, fence: Fence) -> Iterator[Command]:
        """What a node may have forgotten, as calls of publish.lua."""

    def answered(self, call: Call, answer: Answer) -> None:
        """The store has done `call`."""

    def undone(self, call: Call) -> None:
        """The store has not done `call`, and never will."""

    def voided(self, call: Call) -> None:
        """Nobody will know whether the store has done `call`."""

    def failed(self, call: Call) -> None:
        """The store cannot do `call`, nor another about the same counters."""


class Dispatcher:
    """Owns the connections to a node and the decision when to use them.

    `timeout`: seconds after which an unanswered call shows that the store is down. `wait`: replicas that must have a
    grant before it is used.
    """

    def __init__(
        self,
        node: Node,
        caller: Caller,
        clock: StoreClock,
        fence: Fence,
        *,
        prefix: str,
        timeout: float,
        wait: int,
        on_call: Callable[[float, bool], None],
        on_moved: Callable[[], None],
    ) -> None:
        self.fence = fence
        self.calls = 0
        self._node = node
        self._caller = caller
        self._clock = clock
        self._outbox = keys.outbox(prefix, node.tag)
        self._timeout = timeout
        self._patience = max(PATIENCE, 4 * timeout)
        self._wait = wait
        self._after: tuple[Command, ...] = (("WAIT", wait, max(1, int(timeout * 1000))),) if wait else ()
        self._on_call = on_call
        self._on_moved = on_moved
        self._idle = [node.link() for _ in range(LANES)]
        self._lanes: dict[asyncio.Task[None], float] = {}  # and since when, local time
        self._lost: deque[Call] = deque()  # sent, not answered
        self._failures = 0  # in a row
        self._pause: asyncio.TimerHandle | None = None
        self._opening: asyncio.TimerHandle | None = None
        self._scheduled = False
        self._looked = -LOOK
        self._forgetful = False  # the store has to be told what is remembered

    @property
    def down(self) -> bool:
        """Whether the store is known to be away."""
        if self._failures > 1:  # the first may be an idle connection that was closed
            return True
        since = min(self._lanes.values(), default=None)
        return since is not None and self._clock.local() - since > self._timeout

    @property
    def fenced(self) -> bool:
        """Whether the store waits for what processes remember, and grants nothing."""
        return self._clock.earliest() < self.fence.opens

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
        """Look at the store's epoch if it is time."""
        if self._look_is_due and not self._lanes and self._pause is None:
            self._start()

    async def ping(self) -> bool:
        """Whether the store counts now; learns its time, and teaches it the script."""
        self._looked = self._clock.local() - LOOK
        if self._idle and self._pause is None:
            await asyncio.wait([self._start()])
        return not self._failures and not self._lost and not self.down

    async def close(self) -> None:
        """Finish what is under way if the store answers, and close the connections."""
        await asyncio.sleep(0)  # what was woken in this tick goes out
        with suppress(TimeoutError):
            async with asyncio.timeout(self._patience):
                while self._pause is None and self._lanes:  # an answer may lead to another call
                    await asyncio.wait(self._lanes)
        for timer in (self._pause, self._opening):
            if timer is not None:
                timer.cancel()
        lanes = list(self._lanes)
        for lane in lanes:
            lane.cancel()
        await asyncio.gather(*lanes, return_exceptions=True)
        for link in self._idle:
            await link.close()
        self._idle.clear()
        while self._lost:
            self._caller.voided(self._lost.popleft())

    @property
    def _look_is_due(self) -> bool:
        return self._clock.local() - self._looked >= LOOK

    def _dispatch(self) -> None:
        self._scheduled = False
        if self._idle and self._pause is None and not (self._failures and self._lanes) and not self.fenced:
            self._start()

    def _start(self) -> asyncio.Task[None]:
        lane = asyncio.get_running_loop().create_task(self._lane(self._idle.pop()))
        self._lanes[lane] = self._clock.local()
        return lane

    async def _lane(self, link: Link) -> None:
        lane = asyncio.current_task()
        assert lane is not None
        try:
            while await self._turn(link):
                self._lanes[lane] = self._clock.local()
        finally:
            del self._lanes[lane]
            self._idle.append(link)

    async def _turn(self, link: Link) -> bool:
        """One round trip; False: there is no more to carry, or the store had better be left alone for a moment."""
        calls: list[Call] = []
        began = self._clock.local()
        try:
            run = await link.open(self._patience)
            if run != self.fence.run or self._look_is_due:
                await self._look(link, run)
            if self._forgetful:
                await self._publish(link)
            calls = self._gather()
            answers = await self._carry(link, calls)
        except Exception as error:  # redis-py and uvloop raise many kinds when a connection breaks
            self._on_call(self._clock.local() - began, False)
            self._lose(calls)
            self._rest(error)
            return False
        except BaseException:
            self._lose(calls)
            raise
        return await self._hear_all(link, calls, answers, self._clock.local() - began)

    async def _look(self, link: Link, run: str) -> None:
        """See which epoch the server is in."""
        sent = self._clock.local()
        look = await self.fence.look(link, run, self._clock.seen, self._patience)
        self._clock.learn(look.now, sent, self._clock.local())
        self.calls += 1
        self._looked = sent
        if self.fence.learn(look, run):
            log.warning("%s may have lost data: it is told what is remembered here", self._node.name)
            self._forgetful = True
        if self.fenced and self._opening is None:
            wait = self.fence.opens - self._clock.earliest()
            log.warning("%s is fenced for %.1f s: gateways tell it what they remember", self._node.name, wait)
            self._opening = asyncio.get_running_loop().call_later(wait, self._open)

    def _open(self) -> None:
        self._opening = None
        if self.fenced:
            self._opening = asyncio.get_running_loop().call_later(FIRST_PAUSE, self._open)
        else:
            self.wake()

    async def _publish(self, link: Link) -> None:
        """Tell what is remembered; all of it again if that fails in between."""
        chunk: list[Command] = []
        for call in self._caller.remembered(self._node, self.fence):
            chunk.append(call)
            if len(chunk) == CALLS:
                await self._tell(link, chunk)
                chunk = []
        await self._tell(link, chunk)
        self._forgetful = False

    async def _tell(self, link: Link, chunk: Sequence[Command]) -> None:
        for answer in await PUBLISH.run(link, chunk, self._patience) if chunk else ():
            self.calls += 1
            if isinstance(answer, ResponseError) and not str(answer).startswith(OF_ONE_CALL):
                raise answer

    def _gather(self) -> list[Call]:
        """Lost calls first. What belongs to an epoch of which something is lost cannot be asked again."""
        calls: list[Call] = []
        if self.fenced or self._forgetful:
            return calls
        while self._lost and len(calls) < CALLS:
            call = self._lost.popleft()
            if call.epoch == self.fence.epoch or call.epoch in self.fence.intact:
                calls.append(call)
            else:
                self._void(call)
        return calls + self._caller.next_calls(self._node, CALLS - len(calls))

    async def _carry(self, link: Link, calls: list[Call]) -> list[Any]:
        if not calls:
            return []
        for call in calls:
            call.begin(self.fence.epoch)
        commands = [call.command(self._clock.seen, self.fence, self._outbox) for call in calls]
        self.calls += len(calls)
        answers = await CONSUME.run(link, commands, self._patience, *self._after)
        if self._after:
            replicas = answers.pop()
            if isinstance(replicas, Exception) or replicas < self._wait:
                for call in calls:
                    call.tried = True
                raise NotReplicatedError(f"{replicas} of {self._wait} replicas have what was granted")
        return answers

    async def _hear_all(self, link: Link, calls: list[Call], answers: list[Any], seconds: float) -> bool:
        received = self._clock.local()
        heard = [self._hear(call, answer, received) for call, answer in zip(calls, answers, strict=True)]
        trouble = next((error for error in heard if error is not None), None)
        if calls:
            self._on_call(seconds, trouble is None)
        if trouble is None:
            self._recover()
            return bool(calls)
        if str(trouble).startswith(ANOTHER_EPOCH):
            self._looked = -LOOK
        else:
            await link.close()
        self._rest(trouble)
        return False

    def _hear(self, call: Call, answer: Any, received: float) -> ResponseError | None:
        """Pass an answer on; gives an error that concerns the store as a whole."""
        if isinstance(answer, ResponseError):
            if str(answer).startswith(OF_ONE_CALL):
                log.error("the store cannot count for %r: %s", call.scope.name, answer)
                self._caller.failed(call)
                return None
            if call.tried:
                self._lose([call])
            else:
                self._caller.undone(call)
            return answer
        done = Answer.parse(answer)
        self._clock.learn(done.now, call.sent, received)
        self._caller.answered(call, done)
        return None

    def _lose(self, calls: list[Call]) -> None:
        """Keep calls that may have been done, to ask again while the store still remembers."""
        for call in calls:
            call.tried = True
            if self._clock.local() - call.sent < REMEMBERED / 2:
                self._lost.append(call)
            else:
                self._void(call)

    def _void(self, call: Call) -> None:
        log.warning("a call about %r was never answered; what it was granted stays unused", call.scope.name)
        self._caller.voided(call)

    def _rest(self, error: Exception) -> None:
        """Leave the store alone for a while: not after the first failure, and longer after each further one."""
        if isinstance(error, MOVED) or ELSEWHERE in str(error):
            self._on_moved()
        if self._pause is not None:
            return
        self._failures += 1
        if self._failures == 2:
            log.warning("%s is away: %s: %s", self._node.name, type(error).__name__, error)
        pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (min(self._failures, 10) - 2)) if self._failures > 1 else 0.0
        jitter = random.uniform(0.5, 1)  # noqa: S311 - so that gateways do not return together
        self._pause = asyncio.get_running_loop().call_later(pause * jitter, self._resume)

    def _resume(self) -> None:
        self._pause = None
        self._looked = -LOOK
        if self._idle:
            self._start()

    def _recover(self) -> None:
        if self._failures > 1:
            log.warning("%s is back", self._node.name)
        self._failures = 0
