"""Carries calls to one server of the store: many in one round trip, lost ones again, gently while it is away.

Before calls go out it is known that the server still is in the epoch in which it lost nothing; see gateway.store.fence.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from redis.exceptions import ResponseError

from gateway.quota.calls import REMEMBERED
from gateway.quota.clock import StoreClock
from gateway.quota.errands import Caller, Errand
from gateway.quota.watch import CALLS, OF_ONE_CALL, Watch
from gateway.store import keys
from gateway.store.fence import Fence
from gateway.store.script import Command, run_all
from gateway.store.topology import Link, Node

AWAY = 1.0  # seconds without an answer
LANES = 2  # round trips under way at once
PATIENCE = 1.0  # seconds that a round trip may take before its connection is given up
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 1.0  # seconds between attempts while the store is away
ANOTHER_EPOCH = ("EPOCH", "FENCED")

log = logging.getLogger(__name__)


class NotReplicatedError(Exception):
    """Too few replicas have what was granted."""


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
        register: Callable[[str], Awaitable[None]],
    ) -> None:
        self._node = node
        self._caller = caller
        self._clock = clock
        self._prefix = prefix
        self._made = 0
        self._timeout = timeout
        self._patience = max(PATIENCE, 4 * timeout)
        self._wait = wait
        self._watch = Watch(node, fence, clock, self._patience, caller.remembered, self.wake, register)
        self._after: tuple[Command, ...] = (("WAIT", wait, max(1, int(timeout * 1000))),) if wait else ()
        self._on_call = on_call
        self._on_moved = on_moved
        self._idle = [node.link() for _ in range(LANES)]
        self._lanes: dict[asyncio.Task[None], float] = {}  # and since when, local time
        self._lost: deque[Errand] = deque()  # sent, not answered
        self._failures = 0  # in a row
        self._heard = clock.local()  # local time of the last answer
        self._pause: asyncio.TimerHandle | None = None
        self._scheduled = False

    @property
    def down(self) -> bool:
        """Whether the store is known to be away."""
        if self._failures > 1:  # the first may be an idle connection that was closed
            return True
        since = min(self._lanes.values(), default=None)
        return since is not None and self._clock.local() - since > self._timeout

    @property
    def away(self) -> bool:
        """Whether it is down for so long that waiting a moment is in vain."""
        return self.down and self._clock.local() - self._heard > AWAY

    @property
    def fenced(self) -> bool:
        """Whether the node waits for what processes remember, and grants nothing."""
        return self._watch.fenced

    @property
    def calls(self) -> int:
        """Calls made so far."""
        return self._made + self._watch.calls

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
        if self._watch.is_due and not self._lanes and self._pause is None:
            self._start()

    async def ping(self) -> bool:
        """Whether the store counts now; learns its time, and teaches it the script."""
        self._watch.make_due()
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
        if self._pause is not None:
            self._pause.cancel()
        self._watch.close()
        lanes = list(self._lanes)
        for lane in lanes:
            lane.cancel()
        await asyncio.gather(*lanes, return_exceptions=True)
        for link in self._idle:
            await link.close()
        self._idle.clear()
        while self._lost:
            self._lost.popleft().voided()

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
        calls: list[Errand] = []
        began = self._clock.local()
        try:
            await self._watch.keep(link)
            calls = self._gather()
            answers = await self._carry(link, calls)
        except Exception as error:  # redis-py and uvloop raise many kinds when a connection breaks
            self._on_call(self._clock.local() - began, False)
            self._lose(calls)
            if isinstance(error, ResponseError):  # such as a replica's: what is at the address may be another by now
                await link.close()
            self._rest(error)
            return False
        except BaseException:
            self._lose(calls)
            raise
        return await self._hear_all(link, calls, answers, self._clock.local() - began)

    def _gather(self) -> list[Errand]:
        """Lost calls first."""
        calls: list[Errand] = []
        if self._watch.closed:
            return calls
        while self._lost and len(calls) < CALLS:
            call = self._lost.popleft()
            if self._is_remembered(call):
                calls.append(call)
            else:
                self._void(call)
        return [*calls, *self._caller.next_calls(self._node, CALLS - len(calls))]

    async def _carry(self, link: Link, calls: list[Errand]) -> list[Any]:
        if not calls:
            return []
        fence, outbox = self._watch.fence, keys.outbox(self._prefix, self._node.tag)
        for call in calls:
            call.begin(fence.epoch)
        commands = [(call.script, call.command(self._clock.seen, fence, outbox)) for call in calls]
        self._made += len(calls)
        answers = await run_all(link, commands, self._patience, *self._after)
        if self._after:
            replicas = answers.pop()
            if isinstance(replicas, Exception) or replicas < self._wait:
                for call in calls:
                    call.tried = True
                raise NotReplicatedError(f"{replicas} of {self._wait} replicas have what was granted")
        return answers

    async def _hear_all(self, link: Link, calls: list[Errand], answers: list[Any], seconds: float) -> bool:
        received = self._clock.local()
        heard = [self._hear(call, answer, received) for call, answer in zip(calls, answers, strict=True)]
        trouble = next((error for error in heard if error is not None), None)
        if calls:
            self._on_call(seconds, trouble is None)
        if trouble is None:
            self._recover()
            return bool(calls)
        if str(trouble).startswith(ANOTHER_EPOCH):
            self._watch.make_due()
        else:
            await link.close()
        self._rest(trouble)
        return False

    def _hear(self, call: Errand, answer: Any, received: float) -> ResponseError | None:
        """Pass an answer on; gives an error that concerns the store as a whole."""
        if isinstance(answer, ResponseError):
            if str(answer).startswith(OF_ONE_CALL):
                log.error("the store cannot count for %s: %s", call, answer)
                call.failed()
                return None
            if call.tried:
                self._lose([call])
            else:
                call.undone()
            return answer
        done = call.parse(answer)
        self._clock.learn(done.now, call.sent, received)
        call.answered(done)
        return None

    def _lose(self, calls: list[Errand]) -> None:
        """Keep calls that may have been done, to ask again."""
        for call in calls:
            call.tried = True
            self._lost.append(call)

    def _is_remembered(self, call: Errand) -> bool:
        """Whether the store knows for sure if it has done it."""
        return self._watch.same(call.epoch) and self._clock.local() - call.sent < REMEMBERED / 2

    def _void(self, call: Errand) -> None:
        log.warning("a call about %s was never answered; what it was granted stays unused", call)
        call.voided()

    def _rest(self, error: Exception) -> None:
        """Leave the store alone for a while: not after the first failure, and longer after each further one."""
        self._on_moved()  # the primary may be another by now, or have other slots
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
        self._watch.make_due()
        if self._idle:
            self._start()

    def _recover(self) -> None:
        if self._failures > 1:
            log.warning("%s is back", self._node.name)
        self._failures = 0
        self._heard = self._clock.local()
