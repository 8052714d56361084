"""A connection that carries many commands in one round trip."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from hiredis import pack_command
from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ResponseError

Command = tuple[str | bytes | int, ...]


class Pipe:
    """One connection of its own, made when needed, like those of a client."""

    def __init__(self, redis: Redis) -> None:
        pool = redis.connection_pool
        untimed = {**pool.connection_kwargs, "socket_timeout": None}  # one time limit for all, in `exchange`
        self._connection: AbstractConnection = pool.connection_class(**untimed)

    async def exchange(self, commands: Sequence[Command], patience: float) -> list[Any]:
        """Send all, then read an answer for each: a value, or the ResponseError that is the answer.

        Raises TimeoutError after `patience` seconds, OSError, or RedisError where there is no answer: the connection
        is then closed, and what was sent may have been done or not.
        """
        connection = self._connection
        try:
            async with asyncio.timeout(patience):
                packed = b"".join(pack_command(command) for command in commands)  # type: ignore[arg-type] # a stub's slip
                await connection.send_packed_command(packed, check_health=False)
                return [await self._answer() for _ in commands]
        except BaseException:
            await connection.disconnect(nowait=True)
            raise

    async def close(self) -> None:
        """Close the connection; the next exchange opens another."""
        await self._connection.disconnect()

    async def _answer(self) -> Any:
        try:
            return await self._connection.read_response()
        except ResponseError as error:
            return error
