"""Clients that do harm, by thousands: `python rogues.py KIND PORT COUNT TOKEN`. Runs until it is ended.

slow      send a head byte by byte, and begin anew when they are cut
readers   ask for what is large and read by trickles
resets    ask, or half ask, and end the connection by RST
hung      ask for what a service never answers, and wait
"""

from __future__ import annotations

import asyncio
import random
import socket
import struct
import sys
from collections.abc import Awaitable, Callable

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
ADDRESSES = 100  # of the loopback network, as one address cannot open that many connections in a short time
NOW = struct.pack("ii", 1, 0)  # SO_LINGER: the end is a reset


def head(path: str, token: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: crowd\r\nAuthorization: Bearer {token}\r\n\r\n".encode()


async def slow(streams: Streams, token: str) -> None:
    for byte in head("/api/v1/items", token):
        if streams[0].at_eof() or streams[1].is_closing():
            return
        streams[1].write(bytes((byte,)))
        await asyncio.sleep(random.uniform(1, 4))


async def readers(streams: Streams, token: str) -> None:
    streams[1].write(head("/api/v1/items/large", token))
    while await streams[0].read(512):
        await asyncio.sleep(1)


async def resets(streams: Streams, token: str) -> None:
    whole = head("/api/v1/items", token)
    streams[1].write(whole[: random.choice((0, 20, len(whole)))])
    await asyncio.sleep(random.uniform(0, 0.1))
    streams[1].get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NOW)
    streams[1].transport.abort()
    await asyncio.sleep(random.uniform(0, 1))


async def hung(streams: Streams, token: str) -> None:
    streams[1].write(head("/hung/x", token))
    await streams[0].read()


KINDS: dict[str, Callable[[Streams, str], Awaitable[None]]] = {
    "slow": slow,
    "readers": readers,
    "resets": resets,
    "hung": hung,
}


async def again_and_again(number: int, port: int, act: Callable[[Streams, str], Awaitable[None]], token: str) -> None:
    source = (f"127.0.1.{1 + number % ADDRESSES}", 0)
    await asyncio.sleep(random.uniform(0, 5))
    while True:
        writer = None
        try:
            streams = await asyncio.open_connection("127.0.0.1", port, local_addr=source, limit=1024)
            writer = streams[1]
            await act(streams, token)
        except OSError:
            await asyncio.sleep(1)
        finally:
            if writer is not None:
                writer.transport.abort()


async def main(kind: str, port: str, count: str, token: str) -> None:
    async with asyncio.TaskGroup() as group:
        for number in range(int(count)):
            group.create_task(again_and_again(number, int(port), KINDS[kind], token))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
