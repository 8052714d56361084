"""An event loop over virtual time, and the processes that share it.

Nothing waits: when all is idle, time goes on to the next timer. There is no I/O and no thread, so that a run is
decided by its inputs alone.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable
from contextvars import Context, ContextVar, copy_context
from typing import Any
from weakref import WeakSet

OUTSIDE = Context()  # where nobody's code runs: networks, servers, and who watches


class DeadlockError(Exception):
    """Somebody waits, and nothing will ever happen."""


class Process:
    """Whose callbacks run: all that is scheduled in `context`. `clock` is its own, in seconds since its boot."""

    def __init__(self, name: str, loop: PaperLoop, *, booted: float = 0.0, drift: float = 1.0) -> None:
        """`booted`: what its clock shows at the loop's 0; `drift`: seconds of its clock in one of the loop's."""
        self.name = name
        self.alive = True
        self.paused = False
        self.booted = booted
        self.ahead = 0.0  # seconds by which somebody has set its machine's time of day
        self.tasks: WeakSet[asyncio.Task[Any]] = WeakSet()
        self.context = copy_context()
        self.context.run(CURRENT.set, self)
        self._loop = loop
        self._drift = drift
        self._backlog: list[asyncio.Handle] = []

    def __repr__(self) -> str:
        return self.name

    def clock(self) -> float:
        return self.booted + self._loop.time() * self._drift

    def run(self, function: Callable[..., Any], *args: Any) -> Any:
        """Call it as this process's code."""
        return function(*args) if CURRENT.get(None) is self else self.context.run(function, *args)

    def spawn(self, coroutine: Any) -> asyncio.Task[Any]:
        """Run a coroutine as this process's code."""
        return self._loop.create_task(coroutine, context=self.context.copy())

    def pause(self) -> None:
        """As SIGSTOP does: nothing runs until `resume`, and its clock goes on."""
        self.paused = True

    def resume(self) -> None:
        self.paused = False
        backlog, self._backlog = self._backlog, []
        self._loop.requeue(backlog)

    def kill(self) -> None:
        """As SIGKILL does: nothing of it runs any more."""
        self.alive = False

    def bury(self) -> None:
        """End the tasks of a dead process, so that none is left behind; what they do has no effect on the living."""
        self.alive = True
        for task in self.tasks:
            task.cancel()
        self.resume()

    def admits(self, handle: asyncio.Handle) -> bool:
        """Whether a callback may run now; else it is kept."""
        runs = self.alive and not self.paused
        if not runs:
            self._backlog.append(handle)
        return runs


CURRENT: ContextVar[Process] = ContextVar("process")


class Soon(asyncio.Handle):
    """A callback that runs if its process does."""

    def _run(self) -> None:
        process = self._context.get(CURRENT)
        if process is None or process.admits(self):
            super()._run()


class Timer(asyncio.TimerHandle):
    """The same, later."""

    def _run(self) -> None:
        process = self._context.get(CURRENT)
        if process is None or process.admits(self):
            super()._run()


class PaperLoop(asyncio.BaseEventLoop):
    """Runs callbacks at their times, one after another."""

    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0
        self._selector = self
        self.failures: list[BaseException | str] = []
        self.set_exception_handler(self._note)

    def time(self) -> float:
        return self._now

    def select(self, timeout: float | None) -> list[Any]:
        """What a selector is asked: here the wait is over at once."""
        if timeout is None:
            raise DeadlockError("somebody waits, and nothing is scheduled")
        if timeout > 0:
            self._now = self._scheduled[0].when() if self._scheduled else self._now + timeout
        return []

    def call_soon(self, callback: Any, *args: Any, context: Context | None = None) -> asyncio.Handle:
        handle = Soon(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def call_later(self, delay: float, callback: Any, *args: Any, context: Context | None = None) -> Timer:
        return self.call_at(self._now + delay, callback, *args, context=context)

    def call_at(self, when: float, callback: Any, *args: Any, context: Context | None = None) -> Timer:
        timer = Timer(when, callback, args, self, context)
        heapq.heappush(self._scheduled, timer)
        timer._scheduled = True
        return timer

    def create_task(self, coroutine: Any, *, name: Any = None, context: Context | None = None) -> asyncio.Task[Any]:
        task = super().create_task(coroutine, name=name, context=context)
        process = CURRENT.get(None) if context is None else context.get(CURRENT)
        if process is not None:
            process.tasks.add(task)
        return task

    def outside(self, delay: float, callback: Any, *args: Any) -> Timer:
        """Call it later as nobody's code."""
        return self.call_at(self._now + delay, callback, *args, context=OUTSIDE)

    def requeue(self, handles: list[asyncio.Handle]) -> None:
        """Run callbacks that were kept, in order; one that is cancelled meanwhile is not."""
        self._ready.extend(handles)

    def close(self) -> None:
        """End what is left and close. A task may need to be told again, as where a time limit was just over."""
        for _ in range(3):
            if left := asyncio.all_tasks(self):
                for task in left:
                    task.cancel()
                self.run_until_complete(asyncio.wait(left, timeout=5))
        super().close()

    def _process_events(self, events: list[Any]) -> None:
        """There are none."""

    def _write_to_self(self) -> None:
        raise RuntimeError("a loop on paper has no threads")

    def _note(self, loop: asyncio.AbstractEventLoop, failure: dict[str, Any]) -> None:
        self.failures.append(failure.get("exception") or failure["message"])
