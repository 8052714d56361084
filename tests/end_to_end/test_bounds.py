"""What clients may take of a running gateway, as its configuration says, with its metrics and log lines."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from rigs.gateway import Gateway
from rigs.proxy import read_answer
from rigs.stage import ORDERS, Stage
from rigs.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="session")

BOUNDS = """
gateway:
  limits: {body: 1KiB, client_connections: 3, requests: 4, invalid_credentials: 5/hour, target: 300B}
  timeouts: {head: 500ms}
plans:
  gold: {services: [orders]}
applications:
  mobile: {plans: [gold], client_ids: [mobile-app]}
"""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def gateway(stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    async with stage.gateway(tmp_path_factory.mktemp("bounds"), ORDERS, BOUNDS) as gateway:
        yield gateway


async def decided(gateway: Gateway, reason: str) -> float:
    return await gateway.metric(f'gateway_decisions_total{{reason="{reason}"}}')


async def test_a_body_that_is_too_large_is_413(stage: Stage, gateway: Gateway) -> None:
    async with gateway.connected() as (reader, writer):
        head = gateway.head(stage.token(), "/orders", "Content-Length: 1025", "X-Request-Id: large", method="POST")
        writer.write(head + bytes(1025))
        assert b'"code":"body_too_large"' in await read_answer(reader)
    lines = await until(lambda: [line for line in gateway.access_log() if line["request_id"] == "large"])
    assert (lines[0]["status"], lines[0]["reason"]) == (413, "body_too_large")
    assert await decided(gateway, "body_too_large") == 1


async def test_a_connection_carries_four_requests(stage: Stage, gateway: Gateway) -> None:
    async with gateway.connected() as (reader, writer):
        answers = []
        for _ in range(4):
            writer.write(gateway.head(stage.token()))
            answers.append(await read_answer(reader))
        assert [b"\r\nconnection: close\r\n" in answer for answer in answers] == [False, False, False, True]
        assert await asyncio.wait_for(reader.read(), 5) == b""


async def test_a_head_that_does_not_end_is_408(gateway: Gateway) -> None:
    async with gateway.connected() as (reader, writer):
        writer.write(b"GET /orders HT")
        assert (await asyncio.wait_for(reader.read(), 5)).startswith(b"HTTP/1.1 408 ")


async def test_connections_of_one_address_are_bounded_and_counted(gateway: Gateway) -> None:
    async with gateway.connected(), gateway.connected(), gateway.connected(), gateway.connected() as (reader, _):
        answer = await asyncio.wait_for(reader.read(), 5)
        assert answer.startswith(b"HTTP/1.1 429 ")
        assert b'"code":"too_many_connections"' in answer
    assert await gateway.metric('gateway_refused_connections_total{reason="client_connections"}') >= 1


async def test_a_flood_of_tokens_is_429_and_known_ones_pass(stage: Stage, gateway: Gateway) -> None:
    good = stage.token()
    forged = good[:-8] + "AAAAAAAA"
    assert (await gateway.get(token=good)).status_code == 200
    assert [(await gateway.get(token=forged)).status_code for _ in range(6)] == [401] * 5 + [429]
    answer = await gateway.get(token=forged)
    assert answer.json()["code"] == "too_many_refusals"
    assert 3500 < int(answer.headers["retry-after"]) <= 3600
    assert (await gateway.get(token=good)).status_code == 200
