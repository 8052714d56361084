"""A worker process as its supervisor sees it: started, asked, given another configuration, drained, killed."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import Any

from gateway.control import Channel, Message, pack, send_config
from gateway.model import Config

READY = 30.0  # seconds to start
ANSWER = 1.0  # seconds to answer a question
BUILD = 60.0  # seconds to make another configuration ready
SWAP = 5.0  # seconds to take it


class WorkerError(Exception):
    """A worker did not start, or does not do as told."""


class Worker:
    """`slot` is its place among the workers; `page` a descriptor of the memory that outlives it.

    `own` are the sockets that it serves, `spare` those of the others: their descriptors, and which listeners they are.
    `on_message` gets what it says by itself.
    """

    def __init__(
        self,
        slot: int,
        config: Config,
        page: int,
        own: Mapping[int, int],
        spare: Mapping[int, int],
        on_message: Callable[[Worker, Message], None],
    ) -> None:
        self.slot = slot
        self.config = config  # that it serves
        self.page = page
        self.heard = 0.0  # when it said something, in the loop's time
        self.over = False  # its end has been seen to
        self._own = own
        self._spare = spare
        self._on_message = on_message
        self._process: asyncio.subprocess.Process | None = None
        self._ours: socket.socket | None = None
        self._channel: Channel | None = None
        self._listening: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()
        self._gone = False
        self._questions = itertools.count()
        self._waiting: dict[int, asyncio.Future[Message | None]] = {}

    def __repr__(self) -> str:
        return f"worker {self.slot} (process {self.pid})"

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    @property
    def was_started(self) -> bool:
        """Whether it has had its configuration."""
        return self._channel is not None

    @property
    def serves(self) -> bool:
        """Whether it has started, and its end of the channel is open."""
        return self._ready.is_set() and not self._gone

    async def begin(self) -> None:
        """Its process starts, and waits for the configuration once it is ready for one."""
        self._ours, theirs = socket.socketpair()
        with theirs:
            self._process = await self._spawn(theirs.fileno())

    async def start(self) -> None:
        """Returns when it serves; raises WorkerError if it does not in time."""
        if self._process is None:
            await self.begin()
        assert self._ours is not None
        await asyncio.get_running_loop().run_in_executor(None, send_config, self._ours, self.config)
        self._channel = await Channel.open(self._ours)
        self._listening = asyncio.create_task(self._listen(self._channel))
        await self._wait_until_ready()

    async def _spawn(self, control: int) -> asyncio.subprocess.Process:
        arguments = control, self.page, self.slot, pairs(self._own), pairs(self._spare)
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "gateway.begin", "gateway.app"),
            *map(str, arguments),
            pass_fds=(control, self.page, *self._own, *self._spare),
            stdin=subprocess.DEVNULL,
            start_new_session=True,  # a terminal's Ctrl-C goes to the supervisor alone
        )

    async def _wait_until_ready(self) -> None:
        ready = asyncio.create_task(self._ready.wait())
        gone = asyncio.create_task(self.wait())
        done, pending = await asyncio.wait((ready, gone), timeout=READY, return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()
        if ready not in done:
            await self.kill()
            raise WorkerError("the worker ended at its start" if gone in done else "the worker was not ready in time")

    async def _listen(self, channel: Channel) -> None:
        while (message := await channel.receive()) is not None:
            self.heard = asyncio.get_running_loop().time()
            match message["kind"]:
                case "ready":
                    self._ready.set()
                case "told":
                    self._answer(message["id"], message)
                case _:
                    self._on_message(self, message)
        self._gone = True
        for question in list(self._waiting):
            self._answer(question, None)
        await channel.close()

    def _answer(self, question: int, message: Message | None) -> None:
        waiting = self._waiting.pop(question, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(message)

    async def ask(self, kind: str = "ask", seconds: float = ANSWER, data: bytes = b"") -> Message | None:
        """Its answer; None if there is none in time."""
        if self._channel is None or self._gone:
            return None
        question = next(self._questions)
        answer = self._waiting[question] = asyncio.get_running_loop().create_future()
        self._channel.send(kind, data, id=question)
        try:
            return await asyncio.wait_for(answer, seconds)
        except TimeoutError:
            self._waiting.pop(question, None)
            return None

    def tell(self, kind: str, **fields: Any) -> None:
        """Something to which no answer is due."""
        if self._channel is not None:
            self._channel.send(kind, **fields)

    # --- another configuration

    async def prepare(self, config: Config) -> None:
        """Has it made ready aside. Raises WorkerError, and nothing has changed."""
        told = await self.ask("prepare", BUILD, pack(config))
        problem = "no answer" if told is None else told["problem"]
        if problem:
            raise WorkerError(f"{self!r}: {problem}")

    async def commit(self, config: Config) -> None:
        """What was made ready serves. A worker that does not obey is killed: its successor starts with it."""
        if await self.ask("commit", SWAP) is None:
            await self.kill()
        self.config = config

    # --- the end

    async def wait(self) -> int:
        """Its exit code, once its last message is read."""
        assert self._process is not None
        code = await self._process.wait()
        if self._listening is not None:
            await asyncio.wait((self._listening,), timeout=ANSWER)
        self._gone = True
        return code

    async def stop(self, seconds: float) -> int:
        """Drains it; kills it if that takes longer than `seconds`. Its exit code."""
        if self._ours is not None and self._channel is None:
            self._ours.close()
        if self._process is None:
            return 0
        self.signal(signal.SIGTERM)
        try:
            return await asyncio.wait_for(self.wait(), seconds)
        except TimeoutError:
            await self.kill()
            return -signal.SIGKILL

    async def kill(self) -> None:
        self.signal(signal.SIGKILL)
        if self._process is not None:
            await self._process.wait()

    def signal(self, number: signal.Signals) -> None:
        """Unless it has ended."""
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._process.pid, number)


def pairs(sockets: Mapping[int, int]) -> str:
    """As an argument: `3:0,4:1`."""
    return ",".join(f"{fd}:{listener}" for fd, listener in sockets.items())
