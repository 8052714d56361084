"""Who wants to know is told once for each threshold that a counter crosses, also when he was not there at first."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from rigs.gateway import Gateway
from rigs.load import lasting, rush
from rigs.stage import ORDERS, Stage
from rigs.stores import Server
from rigs.waiting import until
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from gateway.devkit.receiver import PATH, Receiver, make_secret
from gateway.devkit.servers import listener, serving

pytestmark = pytest.mark.asyncio(loop_scope="session")


class Postbox:
    """A receiver that checks signatures; while it is `shut` it answers 503. `posts` counts attempts by message."""

    def __init__(self) -> None:
        self.secret = make_secret()
        self.posts: Counter[str] = Counter()
        self.shut = False
        self.url = ""
        self._receiver = Receiver(self.secret)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.posts[dict(scope["headers"])[b"webhook-id"].decode()] += 1
        app = Response(status_code=503) if self.shut else self._receiver.app
        await app(scope, receive, send)

    @property
    def told(self) -> list[dict[str, Any]]:
        """What the taken messages say."""
        return [message["data"] for message in self._receiver.messages]

    @property
    def thresholds(self) -> list[int]:
        return sorted(data["threshold"] for data in self.told)


@pytest_asyncio.fixture(loop_scope="session")
async def postbox() -> AsyncIterator[Postbox]:
    postbox = Postbox()
    async with serving(postbox, listener()) as url:
        postbox.url = url + PATH
        yield postbox


def plans(over: str, at: list[int]) -> str:
    return f"""
alerts:
  channels: {{ops: {{webhook: "${{ALERTS}}", secret: "${{SECRET}}"}}}}
plans:
  gold:
    services: [orders]
    limits: {{hits: [{lasting(10)}]}}
    over: {over}
    alerts: {{at: {at}, to: [ops]}}
applications:
  mobile: {{plans: [gold], client_ids: [mobile-app]}}
"""


def to(postbox: Postbox) -> dict[str, str]:
    return {"ALERTS": postbox.url, "SECRET": postbox.secret}


@pytest.mark.redis
async def test_each_threshold_is_told_once_by_two_gateways(
    stage: Stage, redis: Server, postbox: Postbox, tmp_path: Path
) -> None:
    overage = plans("allow", [80, 100, 120])
    async with stage.gateways(2, tmp_path, ORDERS, overage, STORE=redis.url, **to(postbox)) as gateways:
        assert await rush(gateways, stage.token(), 30, connections=4) == {200: 30}
        await until(lambda: len(postbox.told) == 3)
        await all_delivered(gateways, 3)
        for gateway in gateways:
            assert await gateway.stop() == 0
    assert postbox.thresholds == [80, 100, 120]
    assert list(postbox.posts.values()) == [1, 1, 1]
    assert {(data["application"], data["plan"], data["limit"]) for data in postbox.told} == {("mobile", "gold", 10)}


@pytest.mark.redis
async def test_where_a_limit_refuses_nobody_is_told_of_overage(
    stage: Stage, redis: Server, postbox: Postbox, tmp_path: Path
) -> None:
    rejecting = plans("reject", [80, 100])
    async with stage.gateways(2, tmp_path, ORDERS, rejecting, STORE=redis.url, **to(postbox)) as gateways:
        assert await rush(gateways, stage.token(), 30, connections=4) == {200: 10, 429: 20}
        await until(lambda: len(postbox.told) == 2)
        await all_delivered(gateways, 2)
    assert postbox.thresholds == [80, 100]
    assert list(postbox.posts.values()) == [1, 1]
    for data in postbox.told:  # never early; later by the requests that are told to the store together
        assert data["threshold"] // 10 <= data["used"] <= 10


async def test_a_channel_that_comes_with_a_reload_is_told(stage: Stage, postbox: Postbox, tmp_path: Path) -> None:
    alerting = plans("reject", [50, 100])
    silent = alerting.replace(", to: [ops]", "")
    async with stage.gateway(tmp_path, ORDERS, silent, **to(postbox)) as gateway:
        assert await rush([gateway], stage.token(), 5, connections=1) == {200: 5}
        await all_delivered([gateway], 1)  # to the log
        gateway.configure(ORDERS, alerting)
        assert (await gateway.reload()).json()["status"] == "reloaded"
        assert await rush([gateway], stage.token(), 5, connections=1) == {200: 5}
        await until(lambda: postbox.told)
    assert postbox.thresholds == [100]


async def test_a_receiver_that_fails_first_is_told_later(stage: Stage, postbox: Postbox, tmp_path: Path) -> None:
    postbox.shut = True
    alerting = plans("reject", [100])
    async with stage.gateway(tmp_path, ORDERS, alerting, **to(postbox)) as gateway:
        await rush([gateway], stage.token(), 10, connections=1)
        await gateway.said("an alert will be sent again")
        assert postbox.told == []
        assert await gateway.metric("gateway_alerts_undelivered") == 1
        assert await gateway.metric("gateway_alerts_oldest_undelivered_seconds") > 0
        assert await gateway.metric('gateway_alert_attempts_total{channel="ops",result="failed"}') >= 1
        postbox.shut = False
        await until(lambda: postbox.thresholds == [100])
        await all_delivered([gateway], 1)
        assert await gateway.metric("gateway_alerts_undelivered") == 0
        assert await gateway.metric("gateway_alerts_oldest_undelivered_seconds") == 0
        assert postbox.posts.total() >= 2
        assert postbox.secret not in gateway.told()
        assert postbox.url not in gateway.told()


async def test_what_was_raised_is_delivered_after_a_restart(stage: Stage, postbox: Postbox, tmp_path: Path) -> None:
    postbox.shut = True
    alerting = plans("reject", [80, 100])
    async with stage.gateway(tmp_path, ORDERS, alerting, STORE="embedded", **to(postbox)) as gateway:
        await rush([gateway], stage.token(), 10, connections=1)
        await until(lambda: len(postbox.posts) == 2)
        gateway.process.kill()
        await gateway.ended()
        assert postbox.told == []
        postbox.shut = False
        await gateway.start()
        await until(lambda: postbox.thresholds == [80, 100])


async def all_delivered(gateways: list[Gateway], alerts: int) -> None:
    """So many, together, and none is on its way."""

    async def counted(state: str) -> float:
        return sum([await gateway.metric(f'gateway_alerts_total{{state="{state}"}}') for gateway in gateways])

    async def settled() -> bool:
        return await counted("raised") == await counted("delivered") == alerts

    await until(settled)


@pytest.mark.parametrize("kind", ["memory", pytest.param("redis", marks=pytest.mark.redis)])
async def test_what_a_limit_refused_is_told_when_its_windows_have_ended(
    stage: Stage, redis: Server, postbox: Postbox, tmp_path: Path, kind: str
) -> None:
    store, number = (redis.url, 2) if kind == "redis" else ("memory", 1)
    short = plans("reject", [100]).replace(lasting(10), "5/second")
    async with stage.gateways(number, tmp_path, ORDERS, short, STORE=store, **to(postbox)) as gateways:
        answers = await rush(gateways, stage.token(), 60, connections=4)
        assert answers.total() == answers[200] + answers[429]
        closed = lambda: [data for data in postbox.told if "window ended" in data["text"]]  # noqa: E731
        await until(lambda: sum(data["refused"] for data in closed()) >= answers[429])
        assert sum(data["refused"] for data in closed()) == answers[429] > 0
        assert {data["id"].rpartition("-")[2] for data in postbox.told} == {"100", "closed"}
        assert len({data["id"] for data in closed()}) == len(closed())
