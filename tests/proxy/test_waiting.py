"""Requests that wait for their turn at a limit: what clients notice, what is kept of them, and what is written down."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

from rigs.proxy import Proxy, echo, proxy_before, read_answer

from gateway.gate import Gate, Turns
from gateway.model import Application, ClientTimeouts, Config, Identity, Kind, Limit, Over, Period, Plan
from gateway.proxy.client import MAX_BACKLOG
from gateway.quota.memory import MemoryLedger
from gateway.routing.router import compile_router
from gateway.telemetry.access_log import AccessLog

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
SLOW = Limit(plan="gold", kind=Kind.RATE, period=Period.SECOND, value=4, burst=1, over=Over.WAIT, wait=1.0, places=2)


class Passport:
    def identify(self, service: Any, ask: Any, done: Callable[[Any], None]) -> Identity:
        return Identity(subject="alice", client_id="mobile-app")


def limited(proxy: Proxy, limit: Limit = SLOW) -> Turns:
    """From now on it has a gate with a limit."""
    loop = asyncio.get_running_loop()
    (service,) = (way for way in proxy.server.pools if not isinstance(way, tuple))
    config = Config(
        services={"echo": service},
        plans={"gold": Plan(name="gold", services=("echo",), limits=(limit,))},
        applications={"mobile": Application(name="mobile", plans=("gold",), client_ids=("mobile-app",))},
    )
    ledger = MemoryLedger(loop.time, lambda alert: None)
    turns = Turns(ledger, loop, loop.time)
    proxy.server.gate = Gate(
        config, compile_router([service]), Passport(), ledger, {}, lambda *_: b"", turns=turns, clock=loop.time
    )
    return turns


async def waiting(turns: Turns, requests: int) -> None:
    async with asyncio.timeout(5):
        while turns.waiting != requests:
            await asyncio.sleep(0.005)


async def test_it_is_served_when_its_turn_comes_and_the_log_tells_the_wait() -> None:
    lines: list[bytes] = []
    log = AccessLog(lines.append, lambda seconds, callback: None)
    async with proxy_before(echo) as proxy:
        limited(proxy)
        first, second = await asyncio.gather(proxy.talk(GET), proxy.talk(GET))
        assert first.startswith(b"HTTP/1.1 200 ") and second.startswith(b"HTTP/1.1 200 ")
        for exchange in await proxy.recorded(2):
            log.log(exchange)
    log.flush()
    at_once, waited = (json.loads(line) for line in b"".join(lines).splitlines())
    assert "waited_ms" not in at_once
    assert 200 < waited["waited_ms"] < 800
    assert (waited["status"], waited["reason"]) == (200, "ok")


async def test_who_finds_no_place_is_refused_at_once_and_the_log_says_why() -> None:
    async with proxy_before(echo) as proxy:
        turns = limited(proxy)
        await proxy.talk(GET)
        served = [asyncio.create_task(proxy.talk(GET)) for _ in range(2)]
        await waiting(turns, 2)
        answer = await proxy.talk(GET)
        assert answer.startswith(b"HTTP/1.1 429 ")
        assert b"retry-after: 1\r\n" in answer.lower()
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["code"] == "too_many_waiting"
        assert [(await task)[:13] for task in served] == 2 * [b"HTTP/1.1 200 "]
        assert sorted(record.reason for record in await proxy.recorded(4)) == ["ok", "ok", "ok", "too_many_waiting"]


async def test_a_client_that_goes_away_makes_room() -> None:
    async with proxy_before(echo) as proxy:
        turns = limited(proxy)
        await proxy.talk(GET)
        _, writer = await proxy.connect()
        writer.write(GET)
        await waiting(turns, 1)
        writer.transport.abort()
        await waiting(turns, 0)
        record = (await proxy.recorded(2))[1]
        assert (record.status, record.reason) == (0, "client_abort")
        assert record.turn is not None


async def test_a_body_waits_with_its_request_and_no_more_of_it_is_read_than_may_be_kept() -> None:
    body = b"x" * 3_000_000
    async with proxy_before(echo) as proxy:
        turns = limited(proxy)
        await proxy.talk(GET)
        reader, writer = await proxy.connect()
        writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(body))
        sending = asyncio.create_task(send(writer, body))
        await waiting(turns, 1)
        await asyncio.sleep(0.05)
        (connection,) = (one for one in proxy.server.connections if getattr(one, "current", None) is not None)
        assert 0 < connection.current.backlog_size < MAX_BACKLOG + 300_000  # and one read
        answer = await read_answer(reader)
        assert answer.startswith(b"HTTP/1.1 200 ") and answer.endswith(body)
        await sending
        writer.close()


async def send(writer: asyncio.StreamWriter, body: bytes) -> None:
    writer.write(body)
    await writer.drain()


async def test_who_waits_is_not_blamed_for_sending_no_body_yet() -> None:
    async with proxy_before(echo, timeouts=ClientTimeouts(body=0.1)) as proxy:
        turns = limited(proxy, SLOW_UPLOAD)
        await proxy.talk(GET)
        reader, writer = await proxy.connect()
        writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
        await waiting(turns, 1)
        assert (await read_answer(reader)).startswith(b"HTTP/1.1 100 ")  # 0.8 s later: its turn has come
        writer.write(b"hello")
        assert (await read_answer(reader)).endswith(b"hello")
        writer.close()


SLOW_UPLOAD = Limit(
    plan="gold", kind=Kind.RATE, period=Period.MINUTE, value=75, burst=1, over=Over.WAIT, wait=1.0, places=2
)


async def test_at_a_stop_who_waits_is_served_or_refused_and_never_cut() -> None:
    async with proxy_before(echo) as proxy:
        turns = limited(proxy)
        await proxy.talk(GET)
        tasks = [asyncio.create_task(proxy.talk(GET, until_close=True)) for _ in range(2)]
        await waiting(turns, 2)
        turns.drain(0.8)
        assert await proxy.server.drain(0.8, grace=0) == 0
        assert sorted([(await task)[:13] for task in tasks]) == [b"HTTP/1.1 200 ", b"HTTP/1.1 429 "]
