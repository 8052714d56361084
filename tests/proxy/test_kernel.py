"""What the kernel holds for one connection is bounded on both sides, whoever does not read."""

from __future__ import annotations

import asyncio
import socket

import pytest
from rigs.proxy import echo, proxy_before

from gateway.proxy.kernel import UNSENT, WINDOW

pytestmark = pytest.mark.asyncio


def told(sock: socket.socket, option: int) -> int:
    return sock.getsockopt(socket.IPPROTO_TCP, option)


async def test_both_sides_of_an_exchange_are_bounded() -> None:
    async with proxy_before(echo) as proxy:
        reader, writer = await proxy.connect()
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
        (client,) = proxy.server.connections
        assert told(client.transport.get_extra_info("socket"), socket.TCP_NOTSENT_LOWAT) == UNSENT
        service = proxy.pool._endpoints[0].idle[0].transport
        assert service is not None
        sock = service.get_extra_info("socket")
        assert told(sock, socket.TCP_NOTSENT_LOWAT) == UNSENT
        assert told(sock, socket.TCP_WINDOW_CLAMP) == WINDOW
        writer.close()
