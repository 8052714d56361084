"""200 applications use up their limits at four gateways, one of which is killed; a receiver fails half of the time.

What the store has counted says which alerts there must be: each is delivered, under one id, and no other.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from rigs.gateway import Gateway
from rigs.load import status_of
from rigs.processes import kill
from rigs.proxy import read_answer
from rigs.stage import ORDERS, Stage
from rigs.stores import Server
from rigs.waiting import until
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from gateway.devkit.receiver import PATH, Receiver, make_secret
from gateway.devkit.servers import listener, serving

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.slow, pytest.mark.redis]

APPLICATIONS = 200
AT_ONCE = 8
REQUESTS = 12  # of each, of which 10 get in
BINS = (50, 80, 100)
LIMITS = {"": 10, "user": 20}  # by `per`: of the application, and of its one user
PLANS = """
alerts:
  channels: {ops: {webhook: "${ALERTS}", secret: "${SECRET}"}}
plans:
  gold:
    services: [orders]
    limits: {hits: [10/eternity, {limit: 20/eternity, per: user}]}
    alerts: {at: [50, 80, 100], to: [ops]}
applications:
  customers: {plans: [gold], match: {roles: [customer]}, each: client}
"""


class Moody:
    """A receiver that refuses each message up to twice before it takes it, so half of all."""

    def __init__(self) -> None:
        self.secret = make_secret()
        self.attempts: Counter[str] = Counter()
        self.failed = 0
        self.url = ""
        self._receiver = Receiver(self.secret)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        name = dict(scope["headers"])[b"webhook-id"].decode()
        self.attempts[name] += 1
        fails = self.attempts[name] <= int(name[:8], 16) % 3
        self.failed += fails
        await (Response(status_code=503) if fails else self._receiver.app)(scope, receive, send)

    @property
    def told(self) -> list[dict[str, Any]]:
        return [message["data"] for message in self._receiver.messages]


@pytest_asyncio.fixture(loop_scope="session")
async def receiver() -> AsyncIterator[Moody]:
    moody = Moody()
    async with serving(moody, listener()) as url:
        moody.url = url + PATH
        yield moody


async def ask_all(gateways: list[Gateway], tokens: list[str], requests: int) -> Counter[int]:
    """So many requests of each, in turn over the gateways, a few applications at a time."""
    turns = asyncio.Semaphore(AT_ONCE)
    asked = (ask(gateways[number % len(gateways)], token, requests, turns) for number, token in enumerate(tokens))
    return sum(await asyncio.gather(*asked), Counter())


async def ask(gateway: Gateway, token: str, requests: int, turns: asyncio.Semaphore) -> Counter[int]:
    statuses: Counter[int] = Counter()
    async with turns, gateway.connected() as (reader, writer):
        for _ in range(requests):
            writer.write(gateway.head(token))
            statuses[status_of(await read_answer(reader))] += 1
    return statuses


def reached(redis: Server) -> set[tuple[str, int]]:
    """(scope, bin) of all counters in the store, by what is spent."""
    found = set()
    for key in redis.ask("KEYS", "gw:{*}:gold:*"):
        scope = re.search(r"\{(.*)\}", str(key, "utf-8") if isinstance(key, bytes) else key)
        assert scope is not None
        spent = int(redis.ask("GET", key).split()[0])
        value = LIMITS["user" if scope[1].startswith("user") else ""]
        found |= {(scope[1].replace("%3A", ":"), bin_) for bin_ in BINS if spent * 100 >= bin_ * value}
    return found


async def test_every_alert_arrives_under_one_id_and_none_that_was_not_reached(
    stage: Stage, redis: Server, receiver: Moody, tmp_path: Path
) -> None:
    environment = {"STORE": redis.url, "STORE_TIMEOUT": "500ms", "ALERTS": receiver.url, "SECRET": receiver.secret}
    tokens = [
        stage.token("tea-shop", azp=f"shop-{number:03}", sub=f"person-{number:03}") for number in range(APPLICATIONS)
    ]
    async with stage.gateways(4, tmp_path, ORDERS, PLANS, **environment) as gateways:
        doomed = gateways[3]
        assert await ask_all(gateways, tokens, REQUESTS // 2) == {200: APPLICATIONS * REQUESTS // 2}
        for process in doomed.processes():
            kill(process)
        await doomed.ended()
        await ask_all(gateways[:3], tokens, REQUESTS - REQUESTS // 2)
        await doomed.start()  # as who keeps gateways does; it goes on with what it had not delivered

        def delivered() -> bool:
            told = {(data["application"], data["threshold"]) for data in receiver.told}
            return redis.ask("XLEN", "gw:outbox") == 0 and told == reached(redis)

        await until(delivered, "all alerts to be delivered", 120)
        told = receiver.told
    wanted = reached(redis)
    ids = {data["id"]: (data["application"], data["threshold"]) for data in told}
    assert sorted(ids.values()) == sorted(wanted)  # one id for each, none missing, none invented
    assert {scope for scope, _ in wanted} >= {f"customers/shop-{number:03}" for number in range(APPLICATIONS)}
    assert len(wanted) > 3.5 * APPLICATIONS  # what was in hand of the one that was killed may be missing
    assert receiver.failed > len(wanted) // 2
    assert redis.ask("HLEN", "gw:{~alerts}:dead") == 0
