"""How the gateway's processes hand each other the configuration, and talk.

The command hands it to the supervisor, the supervisor to its workers, pickled, by a descriptor: never by arguments or
environment, as it holds secrets. Supervisor and workers then talk in JSON lines, some of which announce data.
"""

from __future__ import annotations

import asyncio
import json
import os
import pickle
import socket
import struct
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from gateway.model import Config

Message = dict[str, Any]

_LENGTH = struct.Struct("!I")
PIECE = 50  # services, plans or applications
MAX_LINE = 16 * 1024 * 1024  # metric deltas of very many series


def leave_config(config: Config) -> int:
    """A descriptor from which the program that replaces this one takes its configuration."""
    fd = os.memfd_create("config")
    leave(fd, config)
    os.set_inheritable(fd, True)
    return fd


def take_config(fd: int) -> Config:
    """What `leave_config` left; closes the descriptor."""
    config = take(fd)
    assert isinstance(config, Config)
    return config


def leave(fd: int, value: object) -> None:
    """Writes a value to a memory file that another program of ours will read."""
    with os.fdopen(os.dup(fd), "wb") as file:
        pickle.dump(value, file)


def take(fd: int) -> Any:
    """What `leave` left; closes the descriptor. Raises EOFError where it left nothing."""
    os.lseek(fd, 0, os.SEEK_SET)
    with os.fdopen(fd, "rb") as file:
        return pickle.load(file)  # noqa: S301 - our own program's


def pack(config: Config) -> bytes:
    """For `unpack`, in pieces: at the end of each, Python frees what it needed for it, and nothing else can run."""
    values = {field.name: getattr(config, field.name) for field in fields(config)}
    large = {name: value for name, value in values.items() if isinstance(value, Mapping) and len(value) > PIECE}
    none: dict[str, Any] = {name: {} for name in large}
    pieces: list[object] = [replace(config, **none)]
    for name, value in large.items():
        rows = list(value.items())
        pieces += [(name, dict(rows[start : start + PIECE])) for start in range(0, len(rows), PIECE)]
    return pickle.dumps([pickle.dumps(piece) for piece in pieces])


def unpack(data: bytes) -> Config:
    """What our own supervisor packed."""
    config, *pieces = map(pickle.loads, pickle.loads(data))  # noqa: S301 - our supervisor's
    whole: dict[str, Any] = {}
    for name, part in pieces:
        whole.setdefault(name, {}).update(part)
    found: Config = replace(config, **whole)
    return found


def send_config(sock: socket.socket, config: Config) -> None:
    """Hands a worker its configuration."""
    data = pack(config)
    sock.sendall(_LENGTH.pack(len(data)) + data)


def receive_config(sock: socket.socket) -> Config:
    """The worker's end; blocks. Raises EOFError if the parent has gone."""
    return unpack(_exactly(sock, _LENGTH.unpack(_exactly(sock, _LENGTH.size))[0]))


def _exactly(sock: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = sock.recv(size - len(data))
        if not part:
            raise EOFError("the supervisor has gone")
        data += part
    return data


class Channel:
    """One end of the pair. `receive` returns None when the other end has gone."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, sock: socket.socket) -> Channel:
        sock.setblocking(False)
        return cls(*await asyncio.open_connection(sock=sock, limit=MAX_LINE))

    def send(self, kind: str, data: bytes = b"", **fields: Any) -> None:
        """Queues a message; lost without error if the other end has gone."""
        if not self._writer.is_closing():
            if data:
                fields["size"] = len(data)
            self._writer.write(json.dumps({"kind": kind, **fields}).encode() + b"\n" + data)

    async def receive(self) -> Message | None:
        """The next message; its `data` are bytes that were sent along."""
        try:
            line = await self._reader.readline()
            if not line.endswith(b"\n"):
                return None
            message: Message = json.loads(line)
            if "size" in message:
                message["data"] = await self._reader.readexactly(message["size"])
        except (ConnectionError, ValueError, asyncio.IncompleteReadError):
            return None
        return message

    async def close(self) -> None:
        self._writer.close()
        try:
            await self._writer.wait_closed()
        except (ConnectionError, BrokenPipeError):
            return
