"""The files, read again while the gateway serves: what is right takes effect whole, what is wrong not at all."""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

from gateway.control import take
from gateway.model import Config
from gateway.process.changes import fingerprint, fixed_changes
from gateway.workers import WorkerError

log = logging.getLogger("gateway.reload")

READ = 60.0  # seconds to read the files

Problem = Mapping[str, Any]  # file, line, column, path, message; text: all of it on a line


class Outcome(StrEnum):
    """How a reload ended."""

    RELOADED = "reloaded"
    UNCHANGED = "unchanged"
    INVALID = "invalid"
    RESTART_NEEDED = "restart_needed"
    FAILED = "failed"


class Reloaded(NamedTuple):
    """An outcome, in words; `problems` are those of the files."""

    outcome: Outcome
    detail: str
    problems: tuple[Problem, ...] = ()

    @property
    def done(self) -> bool:
        """Whether the gateway serves what the files say."""
        return self.outcome in (Outcome.RELOADED, Outcome.UNCHANGED)


class Reloader:
    """`config` is what the gateway serves, as the files in `folder` had it. `apply` makes it serve another one, or
    raises WorkerError and leaves all as it was. `count` hears each outcome.
    """

    def __init__(
        self,
        folder: Path,
        config: Config,
        apply: Callable[[Config], Awaitable[None]],
        count: Callable[[str], None] = lambda outcome: None,
    ) -> None:
        self._folder = folder
        self._config = config
        self._fingerprint = fingerprint(config)
        self._apply = apply
        self._count = count
        self._lock = asyncio.Lock()
        self._next: asyncio.Task[Reloaded] | None = None

    async def reload(self) -> Reloaded:
        """Reads and applies. Who asks while another reload is about to begin shares that one."""
        if self._next is None:
            self._next = asyncio.create_task(self._run())
        return await asyncio.shield(self._next)

    async def _run(self) -> Reloaded:
        async with self._lock:
            self._next = None  # who asks from now on may have written files since
            reloaded = await self._reload()
        self._count(reloaded.outcome)
        log.log(logging.INFO if reloaded.done else logging.ERROR, "%s: %s", self._folder, reloaded.detail)
        return reloaded

    async def _reload(self) -> Reloaded:
        found = await read(self._folder)
        if isinstance(found, str):
            return Reloaded(Outcome.FAILED, f"{found}; the configuration stays as it was")
        if not isinstance(found, Config):
            for problem in found:
                log.error("%s", problem["text"], extra={"problem": problem["path"]})
            text = "the files have problems; the configuration stays as it was"
            return Reloaded(Outcome.INVALID, text, tuple(found))
        if fixed := fixed_changes(self._config, found):
            text = f"{', '.join(fixed)} cannot change without a restart; the configuration stays as it was"
            return Reloaded(Outcome.RESTART_NEEDED, text)
        return await self._take(found)

    async def _take(self, config: Config) -> Reloaded:
        mark = await asyncio.to_thread(fingerprint, config)
        if mark == self._fingerprint:
            return Reloaded(Outcome.UNCHANGED, "nothing has changed")
        try:
            await self._apply(config)
        except WorkerError as error:
            return Reloaded(Outcome.FAILED, f"{error}; the configuration stays as it was")
        self._config, self._fingerprint = config, mark
        return Reloaded(Outcome.RELOADED, "the configuration is reloaded")


async def read(folder: Path) -> Config | list[Problem] | str:
    """What the files in a folder say, their problems, or why they could not be read at all."""
    fd = os.memfd_create("config")
    reading = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway.begin", "gateway.process.reader", str(folder), str(fd)),
        pass_fds=(fd,),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        _, said = await asyncio.wait_for(reading.communicate(), READ)
    except TimeoutError:
        reading.kill()
        await reading.wait()
        said = b"it took too long"
    try:
        found: Config | list[Problem] = take(fd)
    except EOFError:
        why = said.decode(errors="replace").strip().rpartition("\n")[2]
        return f"the files could not be read: {why or reading.returncode}"
    return found
