"""Requests that wait for a connection to the service: the first that is free takes them, opened or answered."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from rigs.proxy import Proxy, Script, proxy_before, read_answer

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nDate: d\r\nContent-Length: 2\r\n\r\nok"


def when(told: asyncio.Event) -> Script:
    """An upstream that answers nothing before it is told to."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await reader.readuntil(b"\r\n\r\n")
            await told.wait()
            writer.write(OK)

    return script


class Network:
    """The pool's loop, whose connections are made by `connect`."""

    def __init__(self, proxy: Proxy, connect: Callable[..., Awaitable[Any]]) -> None:
        self.create_task = asyncio.get_running_loop().create_task
        self.create_connection = connect
        proxy.pool._loop = self  # type: ignore[assignment] - it has what a pool asks of a loop


def open_slowly(proxy: Proxy, told: asyncio.Event) -> None:
    """All connections after the first one are opened no sooner."""

    async def slowly(*way: Any) -> Any:
        if proxy.connections:
            await told.wait()
        return await asyncio.get_running_loop().create_connection(*way)

    Network(proxy, slowly)


async def until(proxy: Proxy, waiting: int) -> None:
    (endpoint,) = proxy.pool._endpoints
    while len(endpoint.waiting) < waiting:
        await asyncio.sleep(0.001)


async def ask(proxy: Proxy) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await proxy.connect()
    writer.write(GET)
    return reader, writer


async def test_a_connection_that_has_answered_takes_who_waits_for_a_new_one() -> None:
    answer, opened = asyncio.Event(), asyncio.Event()
    async with proxy_before(when(answer)) as proxy:
        open_slowly(proxy, opened)
        first, one = await ask(proxy)
        while not proxy.connections:
            await asyncio.sleep(0.001)
        others = [await ask(proxy) for _ in range(3)]
        await until(proxy, waiting=3)
        answer.set()
        for reader, writer in [(first, one), *others]:
            assert (await read_answer(reader)).endswith(b"ok")
            writer.close()
        assert proxy.connections == 1
        opened.set()
        (endpoint,) = proxy.pool._endpoints
        while len(endpoint.idle) < 4:  # those that nobody needed any more are kept for others
            await asyncio.sleep(0.001)
        assert (endpoint.opening, len(endpoint.waiting)) == (0, 0)


async def test_while_more_are_opened_than_wait_none_is_opened_besides() -> None:
    answer, opened = asyncio.Event(), asyncio.Event()
    async with proxy_before(when(answer)) as proxy:
        open_slowly(proxy, opened)
        first, one = await ask(proxy)
        while not proxy.connections:
            await asyncio.sleep(0.001)
        second, two = await ask(proxy)
        await until(proxy, waiting=1)
        answer.set()
        await read_answer(first)
        await read_answer(second)
        (endpoint,) = proxy.pool._endpoints
        endpoint.idle.pop().close()
        third, three = await ask(proxy)
        await until(proxy, waiting=1)
        assert endpoint.opening == 1
        opened.set()
        assert (await read_answer(third)).endswith(b"ok")
        for writer in (one, two, three):
            writer.close()


async def test_a_client_that_went_away_leaves_its_place_to_others() -> None:
    answer, opened = asyncio.Event(), asyncio.Event()
    async with proxy_before(when(answer)) as proxy:
        open_slowly(proxy, opened)
        first, one = await ask(proxy)
        while not proxy.connections:
            await asyncio.sleep(0.001)
        _, gone = await ask(proxy)
        await until(proxy, waiting=1)
        gone.close()
        third, three = await ask(proxy)
        await until(proxy, waiting=2)
        await proxy.recorded(1)
        answer.set()
        assert (await read_answer(first)).endswith(b"ok")
        assert (await read_answer(third)).endswith(b"ok")
        opened.set()
        for writer in (one, three):
            writer.close()
        assert [record.reason for record in await proxy.recorded(3)] == ["client_abort", "ok", "ok"]


async def test_each_who_waits_hears_that_no_connection_can_be_made() -> None:
    opened = asyncio.Event()
    async with proxy_before(when(asyncio.Event())) as proxy:

        async def nowhere(*_way: Any) -> Any:
            await opened.wait()
            raise ConnectionRefusedError

        Network(proxy, nowhere)
        asked = [await ask(proxy) for _ in range(3)]
        await until(proxy, waiting=3)
        opened.set()
        for reader, writer in asked:
            assert (await read_answer(reader)).startswith(b"HTTP/1.1 502 ")
            writer.close()
        (endpoint,) = proxy.pool._endpoints
        assert (endpoint.opening, len(endpoint.waiting)) == (0, 0)
