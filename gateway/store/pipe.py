"""A connection that carries many commands in one round trip, and never becomes another one unnoticed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from hiredis import pack_command
from redis.asyncio.connection import AbstractConnection, Connection
from redis.exceptions import ResponseError

from gateway.model import Address

Command = tuple[str | bytes | int, ...]
Dial = Callable[[], AbstractConnection]  # a connection to be opened; it finds its server then

GREETING: tuple[Command, ...] = (("INFO", "server"), ("INFO", "replication"))


class Link(Protocol):
    """A way to one server. Each call fails as Pipe's do."""

    async def open(self, patience: float) -> str:
        """Connect if needed; gives the run id of the server at the other end."""

    async def exchange(self, commands: Sequence[Command], patience: float) -> list[Any]:
        """Send all, then read an answer for each: a value, or the ResponseError that is the answer."""

    async def close(self) -> None:
        """Close the connection; it can be opened again."""


class Pipe:
    """A Link over a connection of its own."""

    def __init__(self, dial: Dial, at: Callable[[], Address | None] = lambda: None) -> None:
        """`at` tells where the server is, if that is known: when it is elsewhere by now, `open` connects anew."""
        self._dial = dial
        self._at = at
        self._connection: AbstractConnection | None = None
        self._run = ""

    async def open(self, patience: float) -> str:
        """Connect if needed, and give the run id of the server at the other end, a primary.

        Raises TimeoutError after `patience` seconds, OSError, or RedisError where there is none.
        """
        if self._connection is not None and (_over(self._connection) or _astray(self._connection, self._at())):
            await self.close()
        if self._connection is None:
            await self._connect(patience)
        return self._run

    async def exchange(self, commands: Sequence[Command], patience: float) -> list[Any]:
        """Send all, then read an answer for each: a value, or the ResponseError that is the answer.

        Raises ConnectionError if the pipe is not open any more: nothing was sent. Raises TimeoutError after `patience`
        seconds, OSError, or RedisError where there is no answer: the connection is then closed, and what was sent may
        have been done or not.
        """
        connection = self._connection
        if connection is None or not connection.is_connected:
            raise ConnectionError("the connection to the store is closed")
        try:
            async with asyncio.timeout(patience):
                return await ask(connection, commands)
        except BaseException:
            self._connection = None
            await drop(connection)
            raise

    async def close(self) -> None:
        """Close the connection; `open` opens another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.disconnect()

    async def _connect(self, patience: float) -> None:
        connection = self._dial()
        try:
            async with asyncio.timeout(patience):
                await connection.connect()  # type: ignore[no-untyped-call]
                server, replication = await ask(connection, GREETING)
                self._run = _run_of(server, replication)
        except BaseException:
            await drop(connection)
            raise
        self._connection = connection


async def drop(connection: AbstractConnection) -> None:
    """Close it without waiting for anything, such as the other end's part of TLS."""
    if connection._writer is not None:
        connection._writer.transport.abort()
    await connection.disconnect(nowait=True)


async def ask(connection: AbstractConnection, commands: Sequence[Command]) -> list[Any]:
    """An answer for each command, on an open connection, within any time."""
    packed = b"".join(pack_command(command) for command in commands)  # type: ignore[arg-type] # a stub's slip
    await connection.send_packed_command(packed, check_health=False)
    return [await _answer(connection) for _ in commands]


async def _answer(connection: AbstractConnection) -> Any:
    try:
        return await connection.read_response()
    except ResponseError as error:
        return error


def _run_of(server: Any, replication: Any) -> str:
    """The run id in what INFO told, of a primary."""
    for answer in (server, replication):
        if isinstance(answer, ResponseError):
            raise answer
    if b"\nrole:master" not in replication:
        raise ConnectionError("the server is a replica, and takes no writes")
    run: bytes = server.partition(b"\nrun_id:")[2].split(None, 1)[0]
    return run.decode()


def _over(connection: AbstractConnection) -> bool:
    """Whether the server has closed it, or is known to."""
    reader = connection._reader  # redis-py asks the same before it takes one from a pool
    return not connection.is_connected or reader is None or reader.at_eof()


def _astray(connection: AbstractConnection, address: Address | None) -> bool:
    """Whether it leads elsewhere."""
    return address is not None and isinstance(connection, Connection) and (connection.host, connection.port) != address
