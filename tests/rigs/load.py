"""Many requests at once, and limits whose window outlasts them."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from math import inf

from rigs.gateway import Gateway
from rigs.proxy import read_answer
from rigs.waiting import until


async def rush(gateways: list[Gateway], token: str, requests: int, connections: int = 100) -> Counter[int]:
    """The statuses of so many requests, spread over gateways and connections that are all busy at once."""
    each, rest = divmod(requests, connections)
    statuses: Counter[int] = Counter()

    async def client(number: int) -> None:
        gateway = gateways[number % len(gateways)]
        async with gateway.connected() as (reader, writer):
            for _ in range(each + (number < rest)):
                writer.write(gateway.head(token))
                statuses[status_of(await read_answer(reader))] += 1

    async with asyncio.TaskGroup() as group:
        for number in range(connections):
            group.create_task(client(number))
    return statuses


def status_of(answer: bytes) -> int:
    return int(answer[9:12])


def lasting(amount: int) -> str:
    """A limit per hour; where that hour is about to end, per day of a zone where it is about noon."""
    now = datetime.now(UTC)
    if now.minute < 50:
        return f"{{limit: {amount}/hour}}"
    return f"{{limit: {amount}/day, time_zone: {noon_zone()}}}"


def noon_zone() -> str:
    """A zone where it is about noon, so that its day does not end during a test."""
    ahead = 12 - datetime.now(UTC).hour
    return f"Etc/GMT{-ahead:+d}" if ahead else "UTC"  # the signs of these names are POSIX's: reversed


class Load:
    """Requests without a pause on connections that are kept, and on new ones: what came of each.

    `lost` are the local ports of connections on which a request was not answered.
    """

    def __init__(self, gateway: Gateway, token: str, *, kept: int = 8, new: int = 4) -> None:
        self.statuses: Counter[int] = Counter()
        self.lost: list[int] = []
        self._head = gateway.head(token)
        self._gateway = gateway
        self._clients = (kept, new)
        self._ending = False

    @asynccontextmanager
    async def flowing(self) -> AsyncIterator[Load]:
        kept, new = self._clients
        async with asyncio.TaskGroup() as group:
            for number in range(kept + new):
                group.create_task(self._client(inf if number < kept else 1))
            yield self
            self._ending = True

    async def more(self, requests: int) -> None:
        """Wait for so many more answers."""
        enough = self.statuses.total() + requests
        await until(lambda: self.statuses.total() >= enough)

    async def _client(self, requests: float) -> None:
        """So many of them on each connection, or fewer if the gateway wants to close it."""
        while not self._ending:
            async with self._gateway.connected() as (reader, writer):
                port = writer.get_extra_info("sockname")[1]
                left = requests
                while left and not self._ending:
                    left = left - 1 if await self._ask(port, reader, writer) else 0

    async def _ask(self, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Whether the connection may be used again."""
        writer.write(self._head)
        try:
            answer = await read_answer(reader)
        except (ConnectionError, asyncio.IncompleteReadError):
            self.lost.append(port)
            return False
        self.statuses[status_of(answer)] += 1
        return b"\r\nconnection: close\r\n" not in answer
