"""A worker process as its supervisor sees it: started, asked, drained, killed."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable

from gateway.control import Channel, Message, send_config
from gateway.model import Config

READY = 30.0  # seconds to start
ANSWER = 1.0  # seconds to answer a question


class WorkerError(Exception):
    """A worker did not start."""


class Worker:
    """`on_message` gets what the worker says by itself: metrics, alerts."""

    def __init__(self, config: Config, sockets: list[socket.socket], on_message: Callable[[Message], None]) -> None:
        self._config = config
        self._sockets = sockets
        self._on_message = on_message
        self._process: asyncio.subprocess.Process | None = None
        self._channel: Channel | None = None
        self._listening: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()
        self._questions = itertools.count()
        self._waiting: dict[int, asyncio.Future[Message]] = {}

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    async def start(self) -> None:
        """Returns when it serves; raises WorkerError if it does not in time."""
        ours, theirs = socket.socketpair()
        fds = [s.fileno() for s in self._sockets]
        with theirs:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "gateway.app",
                str(theirs.fileno()),
                *map(str, fds),
                pass_fds=(theirs.fileno(), *fds),
                stdin=subprocess.DEVNULL,
                start_new_session=True,  # a terminal's Ctrl-C goes to the supervisor alone
            )
        await asyncio.get_running_loop().run_in_executor(None, send_config, ours, self._config)
        self._channel = await Channel.open(ours)
        self._listening = asyncio.create_task(self._listen(self._channel))
        await self._wait_until_ready()

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
            match message["kind"]:
                case "ready":
                    self._ready.set()
                case "told":
                    waiting = self._waiting.pop(message["id"], None)
                    if waiting is not None and not waiting.done():
                        waiting.set_result(message)
                case _:
                    self._on_message(message)
        await channel.close()

    async def ask(self) -> Message | None:
        """Its problems and metrics now; None if it does not answer in a second."""
        if self._channel is None:
            return None
        question = next(self._questions)
        answer = self._waiting[question] = asyncio.get_running_loop().create_future()
        self._channel.send("ask", id=question)
        try:
            return await asyncio.wait_for(answer, ANSWER)
        except TimeoutError:
            self._waiting.pop(question, None)
            return None

    async def wait(self) -> int:
        """Its exit code, once its last message is read."""
        assert self._process is not None
        code = await self._process.wait()
        if self._listening is not None:
            await asyncio.wait((self._listening,), timeout=ANSWER)
        return code

    async def stop(self, seconds: float) -> int:
        """Drains it; kills it if that takes longer than `seconds`."""
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGTERM)
        try:
            return await asyncio.wait_for(self.wait(), seconds)
        except TimeoutError:
            await self.kill()
            return -signal.SIGKILL

    async def kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._process.pid, signal.SIGKILL)
            await self._process.wait()
