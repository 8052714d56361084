"""Many requests at once, and limits whose window outlasts them."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime

from rigs.gateway import Gateway
from rigs.proxy import read_answer


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
