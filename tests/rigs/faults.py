"""A network that fails: a proxy before a store, or any server, that can be slow, deaf, or cut a connection."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

CHUNK = 65_536


class Pair(NamedTuple):
    """A client's connection and the one that was opened for it."""

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter

    def abort(self) -> None:
        for writer in self:
            writer.transport.abort()


class FaultyProxy:
    """Passes bytes on from a socket `path` to the socket `target` until it is told otherwise; as a context manager.

    What is set holds for the bytes that come from then on, on connections old and new:

    `delay`        seconds that each answer takes longer
    `deaf`         half-open: connections are there, and stay, but nothing passes until it is False again
    `losing`       what is asked is done; its answer is lost, and the connection with it
    `cut_after`    so many more bytes of answers pass, then all connections break
    `refusing`     new connections are closed at once
    """

    def __init__(self, target: Path, path: Path) -> None:
        self.target = target
        self.url = f"unix://{path}"
        self.delay = 0.0
        self.losing = False
        self.refusing = False
        self.cut_after: int | None = None
        self.lost = 0  # answers
        self.connections = 0
        self._path = path
        self._hears = asyncio.Event()
        self._hears.set()
        self._pairs: set[Pair] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> FaultyProxy:
        self._server = await asyncio.start_unix_server(self._accept, self._path)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self.sever()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def deaf(self) -> bool:
        return not self._hears.is_set()

    @deaf.setter
    def deaf(self, deaf: bool) -> None:
        self._hears.clear() if deaf else self._hears.set()

    def sever(self) -> None:
        """Break all connections."""
        for pair in self._pairs:
            pair.abort()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        try:
            await self._serve(reader, writer)
        except (OSError, asyncio.CancelledError):
            writer.transport.abort()
        finally:
            self._tasks.discard(task)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._hears.wait()
        if self.refusing:
            writer.transport.abort()
            return
        from_server, to_server = await asyncio.open_unix_connection(self.target)
        pair = Pair(writer, to_server)
        self._pairs.add(pair)
        asking = asyncio.create_task(self._ask(reader, to_server))
        try:
            await self._answer(from_server, pair)
        finally:
            asking.cancel()
            with suppress(OSError, asyncio.CancelledError):
                await asking
            pair.abort()
            self._pairs.discard(pair)

    async def _ask(self, reader: asyncio.StreamReader, to_server: asyncio.StreamWriter) -> None:
        while asked := await reader.read(CHUNK):
            await self._hears.wait()
            to_server.write(asked)
        to_server.close()

    async def _answer(self, from_server: asyncio.StreamReader, pair: Pair) -> None:
        while answer := await from_server.read(CHUNK):
            if self.delay:
                await asyncio.sleep(self.delay)
            await self._hears.wait()
            if self.losing:
                self.lost += 1
                return
            if self.cut_after is not None:
                answer, whole = answer[: self.cut_after], len(answer)
                self.cut_after = max(0, self.cut_after - whole)
            pair.client.write(answer)
            if self.cut_after == 0:
                with suppress(OSError):
                    await pair.client.drain()
                pair.client.close()
                return
