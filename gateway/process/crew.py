"""The workers together: all started or none, each replaced when it ends, all given another configuration or none."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from gateway.control import Message
from gateway.model import Config
from gateway.process.background import watched
from gateway.process.listeners import ListeningSocket, Share
from gateway.workers import Worker, WorkerError

log = logging.getLogger("gateway.supervisor")

RESTART = 0.1  # seconds before a worker that ended is replaced; doubles, where it keeps ending, up to
RESTART_MOST = 10.0
STEADY = 30.0  # seconds after which a worker counts as well started
PROCESSORS = os.cpu_count() or 1
LOOK = 5.0  # seconds between looks whether the workers still speak, which they do every second
SILENT = 20.0  # seconds of silence after which one is asked
PATIENCE = 10.0  # seconds that it then has
SETTLED = 2.0  # seconds, at the stop, to settle what workers left: a store that is away is not waited for
HURRIED = 2.0  # seconds that a worker has to cut what is in flight and to settle its accounts


@dataclass(frozen=True, slots=True, kw_only=True)
class Hooks:
    """What the workers' keeper calls: for a worker's page, its messages, its end, and after that its successor."""

    page: Callable[[], int]
    hear: Callable[[Worker, Message], None]
    ended: Callable[[Worker, bool], None]  # True: not asked to, and another one starts
    settle: Callable[[Worker], Awaitable[None]]  # whatever it left; takes the page


class Crew:
    """`shares` are the workers' sockets, a share for each."""

    def __init__(self, config: Config, shares: list[Share], hooks: Hooks) -> None:
        self._config = config
        self._shares = shares
        self._hooks = hooks
        self._workers: dict[int, Worker] = {}
        self._changing = asyncio.Lock()
        self._starting = asyncio.Semaphore(PROCESSORS)  # more at once are not ready sooner
        self._keeping: asyncio.Task[None] | None = None
        self._settling: set[asyncio.Task[None]] = set()

    # --- life

    async def begin(self) -> None:
        """The first workers' processes start, and import what they need before there is a configuration for them."""
        for slot in range(min(len(self._shares), PROCESSORS)):
            await self._worker(slot).begin()

    async def start(self, config: Config | None = None) -> None:
        """All workers serve. Raises WorkerError where one does not; then all have ended."""
        self._config = config or self._config
        results = await asyncio.gather(*map(self._start, range(len(self._shares))), return_exceptions=True)
        for error in results:
            if isinstance(error, BaseException):
                await self.stop(0.0)
                raise error
        self._keeping = watched(self._keep_all())

    @property
    def complete(self) -> bool:
        """Whether all have started once."""
        return self._keeping is not None

    async def _start(self, slot: int) -> None:
        async with self._starting:
            begun = self._workers.get(slot)
            worker = self._worker(slot) if begun is None or begun.over else begun
            worker.config = self._config
            try:
                await worker.start()
                await self._catch_up(worker)
            except (WorkerError, OSError) as error:
                await self._end(worker, 0.0)
                raise WorkerError(str(error)) from error

    def _worker(self, slot: int) -> Worker:
        own = self._shares[slot]
        spare = {sock for share in self._shares for sock in share}.difference(own)
        worker = Worker(slot, self._config, self._hooks.page(), numbers(own), numbers(spare), self._hooks.hear)
        self._workers[slot] = worker
        return worker

    async def _catch_up(self, worker: Worker) -> None:
        """The configuration may have changed while it started."""
        async with self._changing:
            if worker.config is not self._config:
                await worker.prepare(self._config)
                await worker.commit(self._config)

    async def _keep_all(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._watch())
            for slot in self._workers:
                group.create_task(self._keep(slot))

    async def _keep(self, slot: int) -> None:
        """Replaces a worker that ends; later and later when it keeps ending."""
        pause = RESTART
        clock = asyncio.get_running_loop().time
        while True:
            began = clock()
            worker = self._workers[slot]
            code = await worker.wait()
            log.error("%r ended with code %s, another one starts", worker, code)
            self._gone(worker, replaced=True)
            self._lend(slot)
            pause = RESTART if clock() - began > STEADY else min(2 * pause, RESTART_MOST)
            pause = await self._replace(slot, pause)
            self._return(slot)

    async def _replace(self, slot: int, pause: float) -> float:
        """Until it has started; the pause that this took."""
        while True:
            await asyncio.sleep(pause)
            try:
                await self._start(slot)
            except (WorkerError, OSError) as error:  # no memory, or no descriptors, for it
                pause = min(2 * pause, RESTART_MOST)
                log.error("worker %d did not start, the next attempt is in %g s: %s", slot, pause, error)
            else:
                return pause

    def _lend(self, slot: int) -> None:
        """A neighbour serves who connects to a worker that is not there."""
        for worker in self.serving()[:1]:
            worker.tell("adopt", sockets=self._sockets(slot))

    def _return(self, slot: int) -> None:
        for worker in self.serving():
            if worker.slot != slot:
                worker.tell("release", sockets=self._sockets(slot))

    def _sockets(self, slot: int) -> list[int]:
        return [sock.fileno() for sock in self._shares[slot]]

    async def _watch(self) -> None:
        """A worker that is stuck is killed: nothing else would end what waits for it."""
        while True:
            await asyncio.sleep(LOOK)
            now = asyncio.get_running_loop().time()
            for worker in self.serving():
                if now - worker.heard > SILENT and await worker.ask(seconds=PATIENCE) is None and worker.serves:
                    log.error("%r does not answer and is killed", worker)
                    worker.signal(signal.SIGKILL)

    # --- the end

    async def stop(self, seconds: float) -> None:
        """Drains all; kills those that take longer. What they left is settled."""
        if self._keeping is not None:
            self._keeping.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._keeping
        await asyncio.gather(*(self._end(worker, seconds) for worker in self._workers.values()))
        if self._settling:
            _, unsettled = await asyncio.wait(self._settling, timeout=SETTLED)
            for task in unsettled:
                task.cancel()
            await asyncio.gather(*unsettled, return_exceptions=True)

    def hurry(self) -> None:
        """In the middle of `stop`: those that drain cut what is in flight."""
        for worker in self._workers.values():
            worker.tell("hurry")
            asyncio.get_running_loop().call_later(HURRIED, worker.signal, signal.SIGKILL)

    async def _end(self, worker: Worker, seconds: float) -> None:
        code = await worker.stop(seconds)
        if code and not worker.over and worker.was_started:
            log.error("%r ended with code %s", worker, code)
        self._gone(worker, replaced=False)

    def _gone(self, worker: Worker, *, replaced: bool) -> None:
        if worker.over:
            return
        worker.over = True
        self._hooks.ended(worker, replaced)
        task = asyncio.create_task(self._settle(worker))
        self._settling.add(task)
        task.add_done_callback(self._settling.discard)

    async def _settle(self, worker: Worker) -> None:
        try:
            await self._hooks.settle(worker)
        except Exception:  # what one worker left must not end the others
            log.exception("what %r left could not be settled", worker)

    # --- all of them

    def serving(self) -> list[Worker]:
        return [worker for worker in self._workers.values() if worker.serves]

    async def ask(self) -> list[Message]:
        """The answers of those that serve."""
        answers = await asyncio.gather(*(worker.ask() for worker in self.serving()))
        return [answer for answer in answers if answer is not None]

    async def reload(self, config: Config) -> None:
        """All serve `config`, or, with WorkerError, none does."""
        async with self._changing:
            workers = self.serving()
            if not workers:
                raise WorkerError("no worker serves")
            results = await asyncio.gather(*(worker.prepare(config) for worker in workers), return_exceptions=True)
            raise_first(results)
            self._config = config
            await asyncio.gather(*(worker.commit(config) for worker in workers))


def raise_first(results: Iterable[BaseException | None]) -> None:
    """Of what `gather` brought."""
    for result in results:
        if result is not None:
            raise result


def numbers(sockets: Iterable[ListeningSocket]) -> dict[int, int]:
    """Descriptors, and which listeners they are."""
    return {sock.fileno(): sock.listener for sock in sockets}
