"""A pipe is one connection to one server: what it carries never reaches another one unnoticed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from redis.exceptions import NoPermissionError, RedisError, ResponseError
from rigs.stores import TcpServer, free_port

from gateway.model import Store
from gateway.store.pipe import Link
from gateway.store.topology import topology

pytestmark = pytest.mark.redis

SECONDS = 5.0


def pipe_to(server: TcpServer, **changes: str) -> Link:
    return topology(Store(kind="url", url=server.url, **changes)).nodes[0].link()


@pytest.fixture
async def pipe(server: TcpServer) -> AsyncIterator[Link]:
    pipe = pipe_to(server)
    yield pipe
    await pipe.close()


async def test_it_tells_which_run_of_the_server_it_leads_to(pipe: Link, server: TcpServer) -> None:
    assert await pipe.open(SECONDS) == server.ask("INFO", "server")["run_id"]


async def test_an_answer_for_each_command_and_errors_are_answers(pipe: Link) -> None:
    await pipe.open(SECONDS)
    one, error, two = await pipe.exchange([("SET", "n", 1), ("LPUSH", "n", 2), ("GET", b"n")], SECONDS)
    assert (one, two) == (b"OK", b"1")
    assert isinstance(error, ResponseError)
    assert str(error).startswith("WRONGTYPE")


async def test_it_stays_the_same_connection(pipe: Link, server: TcpServer) -> None:
    run = await pipe.open(SECONDS)
    ids = [await pipe.exchange([("CLIENT", "ID")], SECONDS) for _ in range(3) if await pipe.open(SECONDS) == run]
    assert ids == [ids[0]] * 3


async def test_nothing_is_sent_before_it_is_open(pipe: Link, server: TcpServer) -> None:
    with pytest.raises(ConnectionError):
        await pipe.exchange([("SET", "sent", 1)], SECONDS)
    assert server.ask("EXISTS", "sent") == 0


async def test_a_restart_of_the_server_is_a_new_run(pipe: Link, server: TcpServer) -> None:
    run = await pipe.open(SECONDS)
    server.restart()
    await asyncio.sleep(0.01)  # the loop hears of the end
    assert await pipe.open(SECONDS) not in ("", run)


async def test_a_connection_lost_in_between_is_not_made_anew_by_an_exchange(pipe: Link, server: TcpServer) -> None:
    await pipe.open(SECONDS)
    server.restart()
    for _ in range(2):
        with pytest.raises((RedisError, OSError)):
            await pipe.exchange([("SET", "sent", 1)], SECONDS)
    assert server.ask("EXISTS", "sent") == 0
    await pipe.open(SECONDS)
    assert await pipe.exchange([("SET", "sent", 1)], SECONDS) == [b"OK"]


async def test_a_connection_that_the_server_closes_is_not_made_anew(pipe: Link, server: TcpServer) -> None:
    run = await pipe.open(SECONDS)
    server.ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    with pytest.raises((RedisError, OSError)):
        await pipe.exchange([("PING",)], SECONDS)
    assert await pipe.open(SECONDS) == run


async def test_a_server_that_hangs_is_given_up_in_time(pipe: Link, server: TcpServer) -> None:
    await pipe.open(SECONDS)
    server.pause()
    started = asyncio.get_running_loop().time()
    with pytest.raises(TimeoutError):
        await pipe.exchange([("PING",)], 0.05)
    with pytest.raises(ConnectionError):
        await pipe.exchange([("PING",)], 0.05)
    with pytest.raises(TimeoutError):
        await pipe.open(0.05)
    assert asyncio.get_running_loop().time() - started < 1.0
    server.resume()
    await pipe.open(SECONDS)
    assert await pipe.exchange([("PING",)], SECONDS) == [b"PONG"]


async def test_who_stops_waiting_loses_the_connection(pipe: Link, server: TcpServer) -> None:
    """Else the next one would read the former one's answer."""
    await pipe.open(SECONDS)
    server.pause()
    waiting = asyncio.create_task(pipe.exchange([("ECHO", "one")], SECONDS))
    await asyncio.sleep(0.01)
    waiting.cancel()
    await asyncio.wait([waiting])
    server.resume()
    await pipe.open(SECONDS)
    assert await pipe.exchange([("ECHO", "two")], SECONDS) == [b"two"]


async def test_a_closed_pipe_can_be_opened_again(pipe: Link) -> None:
    run = await pipe.open(SECONDS)
    await pipe.close()
    await pipe.close()
    assert await pipe.open(SECONDS) == run


async def test_nobody_there() -> None:
    with pytest.raises(RedisError, match="Connect call failed"):
        await topology(Store(kind="url", url=f"redis://{free_port()}")).nodes[0].link().open(SECONDS)


async def test_a_replica_is_not_used(pipe: Link, server: TcpServer) -> None:
    server.ask("REPLICAOF", "127.0.0.1", free_port().port)
    with pytest.raises(ConnectionError, match="is a replica"):
        await pipe.open(SECONDS)


async def test_a_user_of_the_store_who_may_not_ask_for_the_run_is_told_so(server: TcpServer) -> None:
    server.ask("ACL", "SETUSER", "gateway", "on", ">secret", "~gw:*", "+@read", "+@write")
    pipe = pipe_to(server, username="gateway", password="secret")
    with pytest.raises(NoPermissionError, match="info"):
        await pipe.open(SECONDS)
