"""At least once, with one id and none missing: whoever is killed in between."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx2
from redis.asyncio import Redis
from rigs.waiting import PATIENCE

from gateway.alerts.book import Book
from gateway.alerts.delivery import Deliverer
from gateway.alerts.post import WebhookChannel
from gateway.alerts.shelf import MemoryShelf
from gateway.alerts.store_outbox import GROUP, StoreOutbox
from gateway.alerts.ways import Way
from gateway.model import Alert

KEY = "gw:outbox"
LOG = logging.getLogger("gateway.alerts")
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

Make = Callable[..., Alert]

GATEWAY = f"""
import asyncio, logging, sys, time
import httpx2
from redis.asyncio import Redis
from gateway.alerts.book import Book
from gateway.alerts.delivery import Deliverer
from gateway.alerts.post import WebhookChannel
from gateway.alerts.shelf import MemoryShelf
from gateway.alerts.store_outbox import StoreOutbox
from gateway.alerts.ways import Way

async def main(socket, url):
    redis = Redis(unix_socket_path=socket, socket_timeout=5.0)
    ops = WebhookChannel("ops", url, {SECRET!r}, httpx2.AsyncClient(trust_env=False))
    outbox = StoreOutbox(redis, "gw", "first")
    book = Book(MemoryShelf(), clock=time.time, sleep=asyncio.sleep)
    await Deliverer(outbox, lambda alert: [Way(ops)], book, logging.getLogger(), lambda state: None).run()

asyncio.run(main(*sys.argv[1:]))
"""


async def quick(seconds: float) -> None:
    """A sleep for tests with real receivers: a hundredth of the time."""
    await asyncio.sleep(seconds / 100)


@contextlib.asynccontextmanager
async def gateway(
    redis: Redis, consumer: str, hook: Any, client: httpx2.AsyncClient, claim_after: float = 0.2
) -> AsyncIterator[None]:
    """A gateway that delivers until the block ends; `claim_after`: seconds until it takes what another one has."""
    outbox = StoreOutbox(redis, "gw", consumer, claim_after=claim_after, sleep=quick)
    ops = WebhookChannel("ops", hook.url, SECRET, client)
    book = Book(MemoryShelf(), clock=lambda: 0.0, sleep=quick)
    deliverer = Deliverer(outbox, lambda _: [Way(ops)], book, LOG, lambda _: None, clock=lambda: 0.0, sleep=quick)
    task = asyncio.create_task(deliverer.run())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def raise_alert(redis: Redis, alert: Alert) -> None:
    await redis.xadd(KEY, {"alert": json.dumps(alert._asdict())})


async def emptied(redis: Redis) -> None:
    """Until all is delivered and nothing is left in the store."""
    async with asyncio.timeout(PATIENCE):
        while await redis.xlen(KEY) or (await redis.xpending(KEY, GROUP))["pending"]:
            await asyncio.sleep(0.005)


async def all_read(redis: Redis, count: int) -> None:
    """Until gateways have taken so many entries."""
    async with asyncio.timeout(PATIENCE):
        while not (groups := await redis.xinfo_groups(KEY)) or groups[0]["entries-read"] != count:
            await asyncio.sleep(0.001)


async def test_a_gateway_killed_before_the_answer_leaves_its_alert_to_another(
    store: Any, hook: Any, client: httpx2.AsyncClient, make_alert: Make
) -> None:
    hook.script = ["hang"]
    async with store.client() as redis:
        await raise_alert(redis, make_alert("a1"))
        process = subprocess.Popen([sys.executable, "-c", GATEWAY, store.socket, hook.url])
        try:
            await hook.wait_for(1)
        finally:
            process.kill()
            process.wait()
        assert await redis.xlen(KEY) == 1
        async with gateway(redis, "second", hook, client):
            await emptied(redis)
    assert hook.ids == ["a1", "a1"]
    assert hook.events[0] == hook.events[1]


async def test_a_gateway_that_restarts_delivers_what_it_had_not(
    store: Any, hook: Any, client: httpx2.AsyncClient, make_alert: Make
) -> None:
    hook.script = [500] * 1000
    async with store.client() as redis:
        await raise_alert(redis, make_alert("a1"))
        async with gateway(redis, "same", hook, client):
            await hook.wait_for(2)
        hook.script = []
        failed = len(hook.received)
        async with gateway(redis, "same", hook, client):
            await emptied(redis)
    assert hook.ids == ["a1"] * (failed + 1)


async def test_a_store_killed_while_alerts_are_delivered_loses_none(
    store: Any, hook: Any, client: httpx2.AsyncClient, make_alert: Make
) -> None:
    names = [f"a{number}" for number in range(20)]
    hook.script = [500, 204] * 10
    async with store.client() as redis, gateway(redis, "first", hook, client):
        async with store.client() as ledger:
            for name in names[:10]:
                await raise_alert(ledger, make_alert(name))
            await all_read(ledger, 10)
        store.kill()
        await hook.wait_for(10)  # what was read is delivered without the store
        store.start()
        async with store.client() as ledger:
            for name in names[10:]:
                await raise_alert(ledger, make_alert(name))
            await emptied(ledger)
    assert set(hook.ids) == set(names)


async def test_two_gateways_deliver_each_alert_once(
    store: Any, hook: Any, client: httpx2.AsyncClient, make_alert: Make
) -> None:
    names = [f"a{number}" for number in range(40)]
    async with (
        store.client() as redis,
        gateway(redis, "first", hook, client, PATIENCE),
        gateway(redis, "second", hook, client, PATIENCE),
    ):
        for name in names:
            await raise_alert(redis, make_alert(name))
        await emptied(redis)
    assert sorted(hook.ids) == sorted(names)
