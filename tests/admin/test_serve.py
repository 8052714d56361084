"""The admin listener stops within a second whatever its clients do, and leaves signals alone."""

from __future__ import annotations

import asyncio
import signal
from typing import Any

import httpx2
import pytest

from gateway.admin import serve as module

GET = b"GET %s HTTP/1.1\r\nHost: a\r\n\r\n"

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def connect(gateway: Any, data: bytes = b"") -> Streams:
    """A connection that has sent `data`."""
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(data)
    await writer.drain()
    return reader, writer


async def closed(streams: Streams) -> bool:
    """Whether the other side closed, within a second."""
    reader, writer = streams
    async with asyncio.timeout(1):
        try:
            while await reader.read(65_536):
                pass
        except ConnectionResetError:
            pass
    writer.close()
    return True


async def test_the_socket_is_closed_after_the_stop(gateway: Any, client: httpx2.AsyncClient) -> None:
    assert (await client.get("/healthz")).status_code == 200
    assert await gateway.stop() < 1
    assert gateway.sock.fileno() == -1
    with pytest.raises(ConnectionRefusedError):
        await connect(gateway)


async def test_idle_connections_do_not_hold_the_stop(gateway: Any) -> None:
    fresh = await connect(gateway)
    used = await connect(gateway, GET % b"/healthz")
    await used[0].readuntil(b"}\n")
    assert await gateway.stop() < 1
    assert await closed(fresh) and await closed(used)


@pytest.mark.parametrize(
    "half", [b"G", b"GET /healthz HTTP/1.1\r\nHost: a\r\n", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nx"]
)
async def test_half_a_request_does_not_hold_the_stop(half: bytes, gateway: Any) -> None:
    streams = await connect(gateway, half)
    await asyncio.sleep(0.01)
    assert await gateway.stop() < 1
    assert await closed(streams)


async def test_a_client_that_does_not_read_does_not_hold_the_stop(gateway: Any) -> None:
    gateway.exposition = b"# a comment\n" * 1_000_000
    streams = await connect(gateway, GET % b"/metrics")
    streams[0]._transport.pause_reading()  # type: ignore[attr-defined]
    while not gateway.accepted:
        await asyncio.sleep(0.001)
    assert await gateway.stop() < 1
    streams[1].transport.abort()


async def test_a_page_that_hangs_does_not_hold_the_stop(gateway: Any) -> None:
    gateway.hang = True
    streams = await connect(gateway, GET % b"/metrics")
    while not gateway.accepted:
        await asyncio.sleep(0.001)
    assert await gateway.stop() < 1
    assert await closed(streams)


async def test_an_answer_in_the_making_is_finished_before_the_stop(gateway: Any) -> None:
    release = asyncio.Event()

    async def slow() -> None:
        await release.wait()

    gateway._answer = slow
    reader, writer = await connect(gateway, GET % b"/metrics")
    while not gateway.accepted:
        await asyncio.sleep(0.001)
    stopping = asyncio.create_task(gateway.stop())
    await asyncio.sleep(0.15)
    release.set()
    answer = await reader.read()
    assert answer.startswith(b"HTTP/1.1 200 OK") and answer.endswith(gateway.exposition)
    assert await stopping < 1
    writer.close()


async def test_signals_stay_with_their_owner(gateway: Any, client: httpx2.AsyncClient) -> None:
    await client.get("/healthz")
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


@pytest.mark.parametrize("first", [b"", GET % b"/healthz"])
async def test_a_client_that_never_finishes_a_head_is_cut_off(
    first: bytes, gateway: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "HEAD_SECONDS", 0.05)
    reader, writer = await connect(gateway, first)
    if first:
        await reader.readuntil(b"}\n")
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: ")
    assert await closed((reader, writer))


async def test_an_idle_connection_outlives_the_clock_on_heads(gateway: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HEAD_SECONDS", 0.05)
    reader, writer = await connect(gateway, GET % b"/healthz")
    await reader.readuntil(b"}\n")
    await asyncio.sleep(0.1)
    writer.write(GET % b"/healthz")
    assert (await reader.readuntil(b"}\n")).startswith(b"HTTP/1.1 200 OK")
    writer.close()


async def test_what_is_not_http_is_refused(gateway: Any) -> None:
    reader, writer = await connect(gateway, b"\x16\x03\x01\x02\x00 hello\r\n\r\n")
    assert (await reader.read()).startswith(b"HTTP/1.1 400 Bad Request")
    writer.close()


async def test_cancelled_before_it_began_it_still_ends(gateway: Any) -> None:
    assert await gateway.stop() < 1
