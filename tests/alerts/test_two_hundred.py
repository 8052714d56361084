"""200 applications, three thresholds, a receiver that fails half of the time, a deliverer killed: all arrive, once."""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from gateway.alerts.store_outbox import GROUP
from gateway.model import Alert

BINS = (50, 80, 100)
APPLICATIONS = 200
LIMITS = (("hits", "minute"),)

GATEWAY = """
import asyncio, logging, sys, time
import httpx2
from gateway.alerts.book import Book
from gateway.alerts.delivery import Deliverer
from gateway.alerts.post import WebhookChannel
from gateway.alerts.shelf import AWAY, StoreShelf
from gateway.alerts.store_outbox import StoreOutbox
from gateway.alerts.ways import Way
from gateway.model import Store
from gateway.store.lines import Lines
from gateway.store.topology import topology

async def quick(seconds):
    await asyncio.sleep(min(seconds / 50, 0.3))

async def main(socket, url, name):
    logging.disable()
    store = Store(kind="url", url=f"unix://{socket}")
    servers = topology(store)
    outbox = StoreOutbox(servers.client(patience=5.0), "gw", name, claim_after=1.0, sleep=quick)
    book = Book(StoreShelf(Lines(servers, store, 5.0), "gw"), clock=time.time, sleep=quick, away=AWAY)
    ops = WebhookChannel("ops", url, None, httpx2.AsyncClient(trust_env=False))
    await Deliverer(outbox, lambda alert: [Way(ops)], book, logging.getLogger(), lambda state: None, sleep=quick).run()

asyncio.run(main(*sys.argv[1:]))
"""


class Coin:
    """Answers for a receiver: half of them are a failure, by one seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def __bool__(self) -> bool:
        return True

    def pop(self, _: int) -> int:
        return self._random.choice((204, 503))


@asynccontextmanager
async def gateways(count: int, store: Any, hook: Any) -> AsyncIterator[list[subprocess.Popen[bytes]]]:
    """Processes that deliver."""
    started = [
        subprocess.Popen([sys.executable, "-c", GATEWAY, store.socket, hook.url, f"gateway-{number}"])
        for number in range(count)
    ]
    try:
        yield started
    finally:
        for process in started:
            process.kill()
            process.wait()


async def test_every_alert_is_delivered_with_one_id_none_missing_and_none_invented(
    store: Any, hook: Any, make_alert: Callable[..., Alert]
) -> None:
    alerts = [
        make_alert(
            f"{application:03}-{metric}-{percent}",
            application=f"app-{application}",
            metric=metric,
            period=period,
            bin=percent,
            spent=percent // 10,
            raised_at=time.time(),
        )
        for application in range(APPLICATIONS)
        for metric, period in LIMITS
        for percent in BINS
    ]
    hook.script = Coin(20)
    async with store.client() as redis, gateways(4, store, hook) as processes:
        for number, alert in enumerate(alerts):
            await redis.xadd("gw:outbox", {"alert": json.dumps(alert._asdict())})
            if number == len(alerts) // 3:
                await hook.wait_for(50, 30)
                processes[0].kill()
        async with asyncio.timeout(60):
            while await redis.xlen("gw:outbox") or (await redis.xpending("gw:outbox", GROUP))["pending"]:
                await asyncio.sleep(0.05)
        written = await redis.hgetall("gw:{~alerts}:alerts")
        dead = await redis.hlen("gw:{~alerts}:dead")
    taken = [event["data"]["id"] for event in hook.events]
    wanted = Counter((alert.application, alert.metric, alert.period, alert.window_start, alert.bin) for alert in alerts)
    told = {event["data"]["id"]: event["data"] for event in hook.events}
    heard = Counter(
        (data["application"], data["metric"], data["period"], alerts[0].window_start, data["threshold"])
        for data in told.values()
    )
    assert heard == wanted
    assert len(wanted) == APPLICATIONS * len(LIMITS) * len(BINS)
    assert all(event["data"] == told[event["data"]["id"]] for event in hook.events)
    assert all(
        headers["webhook-id"] == event["data"]["id"]
        for (headers, _), event in zip(hook.received, hook.events, strict=True)
    )
    assert (len(written), dead) == (len(wanted), 0)
    assert len(taken) > 1.5 * len(wanted)  # the receiver did fail
