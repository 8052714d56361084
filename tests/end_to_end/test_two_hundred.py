"""200 applications at four gateways, three thresholds, a receiver that fails half of the time, one gateway killed."""

from __future__ import annotations

import asyncio
from collections import Counter
from itertools import product
from pathlib import Path
from random import Random
from typing import Any

import pytest
from rigs.gateway import Gateway
from rigs.load import lasting
from rigs.processes import kill
from rigs.proxy import read_answer
from rigs.stage import ORDERS, Stage
from rigs.stores import Server
from rigs.waiting import until
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from gateway.alerts.store_outbox import GROUP
from gateway.devkit.receiver import PATH, Receiver, make_secret
from gateway.devkit.servers import listener, serving
from gateway.identity.api_keys import create

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.redis]

OUTBOX = "gw:outbox"
BINS = (50, 80, 100)
LIMIT = 10
MORE = 2  # requests that are refused
KEYS = {f"app-{number:03}": create() for number in range(200)}
SERVICE = ORDERS.replace("accept: [{jwt: keycloak}]", "accept: [{api_key: {header: X-Api-Key}}]")


def plans() -> str:
    applications = "".join(f'  {name}: {{plans: [gold], api_keys: ["{key.digest}"]}}\n' for name, key in KEYS.items())
    return f"""
alerts:
  channels: {{ops: {{webhook: "${{ALERTS}}", secret: "${{SECRET}}"}}}}
plans:
  gold:
    services: [orders]
    limits: {{hits: [{lasting(LIMIT)}]}}
    alerts: {{at: [{", ".join(map(str, BINS))}], to: [ops]}}
applications:
{applications}"""


class Unsteady:
    """A receiver that answers 503 to half of what comes, by one seed; but not more than three times to one alert, as
    the pauses between attempts grow. What it took, it may take again.
    """

    def __init__(self) -> None:
        self.secret = make_secret()
        self.failed: Counter[str] = Counter()
        self.taken: Counter[str] = Counter()
        self._chance = Random(20)
        self._receiver = Receiver(self.secret)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        name = dict(scope["headers"])[b"webhook-id"].decode()
        if self.failed[name] < 3 and self._chance.random() < 0.5:
            self.failed[name] += 1
            await Response(status_code=503)(scope, receive, send)
            return
        self.taken[name] += 1
        await self._receiver.app(scope, receive, send)

    @property
    def told(self) -> list[dict[str, Any]]:
        """One for each id."""
        return [message["data"] for message in self._receiver.messages]


async def use_up(gateways: list[Gateway], names: list[str]) -> Counter[str]:
    """Each application's limit and more, its requests spread over gateways."""
    statuses: Counter[str] = Counter()
    asked = iter([(name, number) for name in names for number in range(LIMIT + MORE)])

    async def client(gateway: Gateway) -> None:
        async with gateway.connected() as (reader, writer):
            for name, _ in asked:
                head = f"GET /orders HTTP/1.1\r\nHost: {gateway.listen}\r\nX-Api-Key: {KEYS[name].key}\r\n\r\n"
                answer = await final(reader, writer, head.encode())
                statuses[answer[9:12].decode()] += 1

    await asyncio.gather(*(client(gateway) for gateway in gateways * 4))
    return statuses


async def final(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: bytes) -> bytes:
    """The answer that is not for now only, as while another gateway has in hand what is left."""
    while True:
        writer.write(head)
        answer = await read_answer(reader)
        if b"retry-after: 1\r\n" not in answer.lower():
            return answer
        await asyncio.sleep(0.1)


async def test_every_alert_is_delivered_with_one_id_none_missing_and_none_invented(
    stage: Stage, redis: Server, tmp_path: Path
) -> None:
    receiver = Unsteady()
    async with (
        serving(receiver, listener()) as url,
        stage.gateways(
            4, tmp_path, SERVICE, plans(), STORE=redis.url, ALERTS=url + PATH, SECRET=receiver.secret
        ) as gateways,
    ):
        names = list(KEYS)
        first = await use_up(gateways, names[:100])
        await until(lambda: all_raised(gateways, 100 * len(BINS)))
        for process in gateways[0].processes():  # in the middle of its deliveries
            kill(process)
        await gateways[0].ended()
        left = a_minute_later(redis, gateways[0])
        assert left > 0
        second = await use_up(gateways[1:], names[100:])
        wanted = Counter(product(names, ["hits"], [LIMIT], BINS))
        await until(
            lambda: a_minute_later(redis, gateways[0], 5_000) == 0 and len(receiver.told) >= wanted.total(),
            "all alerts",
        )
        await until(lambda: none_left(gateways[1:]))
        assert await gateways[1].metric("gateway_alerts_dead") == 0
        posts = receiver.failed.total() + receiver.taken.total()
        print(
            f"{posts} posts of {len(receiver.told)} alerts, {receiver.failed.total()} failed; the dead one left {left}"
        )
    assert first == second == {"200": 100 * LIMIT, "429": 100 * MORE}
    told = [(data["application"], data["metric"], data["limit"], data["threshold"]) for data in receiver.told]
    assert Counter(told) == wanted  # each once, by one id
    assert len({data["window"]["start"] for data in receiver.told}) == 1
    assert len(receiver.taken) == wanted.total()
    assert receiver.failed.total() > 0.4 * posts


async def all_raised(gateways: list[Gateway], alerts: int) -> bool:
    return sum([await gateway.metric('gateway_alerts_total{state="raised"}') for gateway in gateways]) >= alerts


def a_minute_later(redis: Server, dead: Gateway, idle: int = 0) -> int:
    """What it left is taken over as if it had been dead for a minute, once nobody has touched it for `idle`
    milliseconds; how many alerts it still has.
    """
    with redis.client() as store:
        consumers: Any = store.xinfo_consumers(OUTBOX, GROUP)
        (name,) = (one["name"] for one in consumers if one["name"].endswith(dead.listen))
        left: Any = store.xpending_range(OUTBOX, GROUP, "-", "+", 1000, name)
        ids = [entry["message_id"] for entry in left]
        if ids:
            store.xclaim(OUTBOX, GROUP, name, idle, ids, idle=61_000, justid=True)
    return len(ids)


async def none_left(gateways: list[Gateway]) -> bool:
    return sum([await gateway.metric("gateway_alerts_undelivered") for gateway in gateways]) == 0
