"""Clients that vanish by a reset, in every state: nothing of them is left, and nobody else notices."""

import asyncio
import logging
import socket
import struct
from collections.abc import Awaitable, Callable

import pytest
from rigs.proxy import Proxy, Script, echo, proxy_before, read_answer, read_head

from gateway.errors import Unauthorized
from gateway.model import Target

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]
State = Callable[[Proxy, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
UPLOAD = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9000000\r\n\r\n"


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while await reader.read(65536):
        pass


async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        writer.write(b"1000\r\n" + b"z" * 4096 + b"\r\n")
        await writer.drain()


async def nothing_sent(proxy: Proxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    pass


async def in_a_head(proxy: Proxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"GET / HTTP/1.1\r\nHo")


async def while_the_gate_thinks(proxy: Proxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    proxy.gate.later = []
    writer.write(GET)
    while not proxy.gate.later:
        await asyncio.sleep(0.001)


async def in_a_body(proxy: Proxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(UPLOAD + b"x" * 100_000)
    while not proxy.connections:
        await asyncio.sleep(0.001)


async def while_the_service_thinks(proxy: Proxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(GET)
    while not proxy.connections:
        await asyncio.sleep(0.001)


async def in_an_answer(proxy: Proxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(GET)
    await reader.readexactly(100_000)


async def not_reading_an_answer(proxy: Proxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.transport.pause_reading()
    writer.write(GET)
    while not any(connection.write_paused for connection in proxy.server.connections):
        await asyncio.sleep(0.01)


async def after_an_answer(proxy: Proxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(GET)
    await read_answer(reader)


async def with_requests_waiting(proxy: Proxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(GET * 100)
    while not proxy.connections:
        await asyncio.sleep(0.001)


async def in_a_refused_body(proxy: Proxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    proxy.gate.refusal = Unauthorized("no")
    writer.write(UPLOAD + b"x" * 1000)
    await read_head(reader)


STATES: dict[str, tuple[Script, State, list[tuple[int, str]]]] = {
    "nothing sent": (silent, nothing_sent, []),
    "in a head": (silent, in_a_head, []),
    "while the gate thinks": (silent, while_the_gate_thinks, [(0, "client_abort")]),
    "in a body": (silent, in_a_body, [(0, "client_abort")]),
    "while the service thinks": (silent, while_the_service_thinks, [(0, "client_abort")]),
    "in an answer": (endless, in_an_answer, [(200, "client_abort")]),
    "not reading an answer": (endless, not_reading_an_answer, [(200, "client_abort")]),
    "after an answer": (echo, after_an_answer, [(200, "ok")]),
    "with requests waiting": (silent, with_requests_waiting, [(0, "client_abort")]),
    "in a refused body": (silent, in_a_refused_body, [(401, "credentials_invalid")]),
}


def reset(writer: asyncio.StreamWriter) -> None:
    """Closes with a RST, as a client that crashed."""
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def nobody_is_left(proxy: Proxy) -> None:
    async with asyncio.timeout(5):
        while proxy.server.connections or proxy.pool.counts()[0] > proxy.pool.counts()[1]:
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("name", STATES)
async def test_a_reset_leaves_nothing(name: str, caplog: pytest.LogCaptureFixture) -> None:
    script, state, expected = STATES[name]
    async with proxy_before(script) as proxy:
        for _ in range(3):
            reader, writer = await proxy.connect()
            await state(proxy, reader, writer)
            reset(writer)
            await nobody_is_left(proxy)
            proxy.connections = 0
        assert proxy.server.crowd.inside == 0
        assert [(record.status, record.reason) for record in proxy.records] == expected * 3
        if proxy.gate.later is not None:
            for late in proxy.gate.later:
                late()
            await asyncio.sleep(0.01)
            assert proxy.connections == 0  # nothing is sent for nobody
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


async def test_a_reset_while_the_service_is_connected_to_leaves_its_connection_for_others() -> None:
    """The target takes the connection late: a listener whose queue is full."""
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        address = full.getsockname()
        fillers = [socket.socket() for _ in range(3)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(address)
        await asyncio.sleep(0.05)
        async with proxy_before(echo, targets=(Target(False, *address),)) as proxy:
            _, writer = await proxy.connect()
            writer.write(GET)
            while not any(connection.current for connection in proxy.server.connections):
                await asyncio.sleep(0.001)
            reset(writer)
            (record,) = await proxy.recorded()
            assert (record.status, record.reason) == (0, "client_abort")
            assert not proxy.server.connections
            for filler in fillers:
                filler.close()
            full.close()
            while proxy.pool._tasks:
                await asyncio.sleep(0.01)


async def test_a_reset_at_the_moment_of_a_stop_does_not_disturb_it() -> None:
    """The loop hears of it after the gateway has said its goodbye."""
    async with proxy_before(echo) as proxy:
        with socket.create_connection(("127.0.0.1", proxy.port)) as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            while not proxy.server.connections:
                await asyncio.sleep(0.001)
        (connection,) = proxy.server.connections
        connection.drain()
        await nobody_is_left(proxy)
        assert await proxy.server.drain(1.0) == 0
