"""Requests at a fixed rate, whatever the answers take, over keep-alive connections: what one client sees of a server.

A request is begun when it is due, so that time in which the server stands still is in the figures of all that were due
meanwhile (no coordinated omission).
"""

from __future__ import annotations

import asyncio
import time
from typing import NamedTuple

PATIENCE = 30.0  # seconds for one answer


class Latencies(NamedTuple):
    """Milliseconds; `failed` counts what was not answered with 200."""

    requests: int
    p50: float
    p99: float
    p999: float
    worst: float
    failed: int


class _Client:
    def __init__(self, host: str, port: int, head: bytes) -> None:
        self._where = (host, port)
        self._head = head
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self) -> bool:
        """Whether the answer was 200."""
        try:
            async with asyncio.timeout(PATIENCE):
                return await self._answer()
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            self.close()
            return False

    async def _answer(self) -> bool:
        if self._streams is None:
            self._streams = await asyncio.open_connection(*self._where)
        reader, writer = self._streams
        writer.write(self._head)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        await reader.readexactly(int(head.partition(b"content-length: ")[2].split(b"\r", 1)[0]))
        if b"\r\nconnection: close" in head:
            self.close()
        return head.startswith(b"http/1.1 200 ")

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


async def paced(host: str, port: int, head: bytes, *, rate: float, seconds: float) -> Latencies:
    """`rate` requests a second. As many connections are opened as are needed for those under way at one time."""
    idle: list[_Client] = []
    times: list[float] = []
    failed = 0

    async def one(due: float) -> None:
        nonlocal failed
        client = idle.pop() if idle else _Client(host, port, head)
        good = await client.ask()
        failed += not good
        times.append((time.perf_counter() - due) * 1e3)
        idle.append(client)

    begun = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for number in range(int(rate * seconds)):
            due = begun + number / rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            group.create_task(one(due))
    for client in idle:
        client.close()
    return _summary(sorted(times), failed)


def _summary(times: list[float], failed: int) -> Latencies:
    def at(share: float) -> float:
        return times[min(len(times) - 1, int(len(times) * share))]

    return Latencies(len(times), at(0.5), at(0.99), at(0.999), times[-1], failed)
