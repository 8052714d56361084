"""How many connections clients may have, and what becomes of those beyond."""

import asyncio
import contextlib
import resource
import socket
from collections.abc import Callable

import pytest
from rigs.proxy import Proxy, echo, proxy_before, read_answer

from gateway.model import ClientLimits, ClientTimeouts
from gateway.proxy import crowd as module
from gateway.proxy import descriptors
from gateway.proxy.crowd import Crowd
from gateway.proxy.descriptors import RESERVE, fitting

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not holds():
            await asyncio.sleep(0.005)


async def connected(proxy: Proxy, source: str = "127.0.0.1") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", proxy.port, local_addr=(source, 0))


async def test_one_connection_too_many_is_told_so_and_closed_without_waiting_for_a_request() -> None:
    async with proxy_before(echo, limits=ClientLimits(connections=2)) as proxy:
        kept = [await connected(proxy) for _ in range(2)]
        reader, writer = await connected(proxy)
        answer = await asyncio.wait_for(reader.read(), 5)
        writer.close()
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"\r\nretry-after: 5\r\n" in answer
        assert b"\r\nconnection: close\r\n" in answer
        assert b'"code":"connections_exhausted"' in answer
        (record,) = await proxy.recorded()
        assert (record.status, record.reason, record.peer) == (503, "connections_exhausted", "127.0.0.1")
        assert proxy.server.refused_connections()["connections"] == 1
        for reader, writer in kept:  # who was there is served
            writer.write(GET)
            assert (await read_answer(reader)).startswith(b"HTTP/1.1 200 ")
            writer.close()
        await until(lambda: proxy.server.crowd.inside == 0)
        assert (await proxy.talk(GET)).startswith(b"HTTP/1.1 200 ")  # there is room again


async def test_the_answer_arrives_also_where_a_request_was_already_on_its_way() -> None:
    async with proxy_before(echo, limits=ClientLimits(connections=1)) as proxy:
        _, kept = await connected(proxy)
        for _ in range(20):
            reader, writer = await connected(proxy)
            writer.write(GET * 100)
            assert (await asyncio.wait_for(reader.read(), 5)).startswith(b"HTTP/1.1 503 ")
            writer.close()
        kept.close()


async def test_one_address_has_its_share_and_others_have_theirs() -> None:
    async with proxy_before(echo, limits=ClientLimits(client_connections=1)) as proxy:
        _, kept = await connected(proxy)
        reader, writer = await connected(proxy)
        answer = await asyncio.wait_for(reader.read(), 5)
        assert answer.startswith(b"HTTP/1.1 429 ")
        assert b"\r\nretry-after: 5\r\n" in answer
        assert b'"code":"too_many_connections"' in answer
        other_reader, other = await connected(proxy, "127.0.0.2")
        other.write(GET)
        assert (await read_answer(other_reader)).startswith(b"HTTP/1.1 200 ")
        for each in (kept, writer, other):
            each.close()
        await until(lambda: not proxy.server.connections)
        assert proxy.server.refused_connections() == {
            "connections": 0,
            "client_connections": 1,
            "unanswered": 0,
            "handshake": 0,
            "proxy_protocol": 0,
            "slow_reader": 0,
        }
        assert vars(proxy.server.crowd)["_of"] == {}  # nothing is remembered of who is gone


async def test_a_flood_of_connections_is_cut_without_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TOLD", 3)
    async with proxy_before(echo, limits=ClientLimits(connections=1)) as proxy:
        _, kept = await connected(proxy)
        flood = [await connected(proxy) for _ in range(10)]
        answers = []
        for reader, writer in flood:
            with contextlib.suppress(ConnectionResetError):
                answers.append(await asyncio.wait_for(reader.read(), 5))
            writer.close()
        assert sum(answer.startswith(b"HTTP/1.1 503 ") for answer in answers) == 3
        assert proxy.server.refused_connections()["unanswered"] == 7
        await until(lambda: proxy.server.crowd.turned_away == 0)
        assert len(proxy.records) == 3
        kept.close()


async def test_a_thousand_idle_connections_are_closed_in_time_and_leave_nothing() -> None:
    async with proxy_before(echo) as proxy:
        sockets = []
        for _ in range(1000):
            sockets.append(socket.create_connection(("127.0.0.1", proxy.port)))
            await asyncio.sleep(0)
        await until(lambda: proxy.server.crowd.inside == 1000)
        proxy.server.timeouts = ClientTimeouts(keep_alive=0.1)
        await until(lambda: not proxy.server.connections)
        assert (proxy.server.crowd.inside, proxy.records) == (0, [])
        for each in sockets:
            assert each.recv(1) == b""  # closed without a word
            each.close()


def test_who_is_turned_away_takes_nobodys_place() -> None:
    crowd, limits = Crowd(), ClientLimits(connections=2, client_connections=2)
    assert crowd.enter("a", limits) is None
    assert crowd.enter("a", limits) is None
    assert crowd.enter("b", limits) is not None
    crowd.leave("a")
    assert crowd.enter("b", limits) is None  # though the one that was turned away still lingers
    crowd.leave("")
    assert (crowd.inside, crowd.turned_away) == (2, 0)


@pytest.mark.parametrize(
    ("soft", "hard", "connections", "share", "raised"),
    [
        (1024, 1_048_576, 10_000, 5_000, 20_000 + RESERVE),  # raised as far as is needed
        (1024, resource.RLIM_INFINITY, 10_000, 5_000, 20_000 + RESERVE),
        (1024, 4096, 1920, 960, 4096),  # raised as far as it goes: fewer connections
        (65_536, 65_536, 10_000, 5_000, 65_536),
    ],
)
def test_connections_fit_into_the_open_files_that_are_permitted(
    soft: int, hard: int, connections: int, share: int, raised: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [(soft, hard)]
    monkeypatch.setattr(descriptors.resource, "getrlimit", lambda _: now[0])
    monkeypatch.setattr(descriptors.resource, "setrlimit", lambda _, pair: now.append(pair) or now.pop(0))
    limits = fitting(ClientLimits())
    assert (limits.connections, limits.client_connections) == (connections, share)
    assert now[0][0] == raised
