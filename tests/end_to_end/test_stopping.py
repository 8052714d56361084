"""How a gateway ends, what it survives, and why it would not start."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import pytest
from rigs.gateway import Gateway
from rigs.load import rush
from rigs.processes import kill
from rigs.proxy import read_answer
from rigs.stage import ORDERS, Stage
from rigs.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="session")

PLANS = """
plans:
  gold: {services: [orders], limits: {hits: [20/eternity]}}
applications:
  mobile: {plans: [gold], client_ids: [mobile-app]}
"""


async def test_a_request_in_flight_is_finished_before_the_gateway_stops(stage: Stage, tmp_path: Path) -> None:
    async with (
        stage.gateway(tmp_path, ORDERS, PLANS, STORE="embedded") as gateway,
        gateway.connected() as (reader, writer),
    ):
        writer.write(gateway.head(stage.token(), "/orders/slow/1.5"))
        await until(lambda: is_forwarded(gateway))
        gateway.process.terminate()
        readyz = await until(lambda: unready(gateway))
        assert readyz == {"status": "not ready", "missing": ["draining"]}
        answer = await read_answer(reader)
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert b"\r\nconnection: close\r\n" in answer
        assert b'"waited":1.5,' in answer
        assert await reader.read() == b""
        assert await gateway.ended() == 0
        assert gateway.log()[-1]["message"] == "stopped"


async def test_a_draining_gateway_takes_no_new_connection(stage: Stage, tmp_path: Path) -> None:
    async with stage.gateway(tmp_path, ORDERS, PLANS) as gateway, gateway.connected() as (_, writer):
        writer.write(gateway.head(stage.token(), "/orders/slow/1.5"))
        await until(lambda: is_forwarded(gateway))
        gateway.process.terminate()
        await until(lambda: unready(gateway))
        await until(lambda: is_refused(gateway))
        assert await gateway.ended() == 0


async def test_a_killed_worker_is_replaced(stage: Stage, tmp_path: Path) -> None:
    """A client that comes meanwhile waits a moment; the limit's count is kept."""
    async with stage.gateway(tmp_path, ORDERS, PLANS, STORE="embedded") as gateway:
        assert await rush([gateway], stage.token(), 5, connections=1) == {200: 5}
        first = gateway.worker
        kill(first)
        assert await rush([gateway], stage.token(), 20, connections=2) == {200: 15, 429: 5}
        assert gateway.worker.pid != first.pid
        await gateway.said("ended with code -9, another one starts")
        assert await gateway.metric("gateway_worker_restarts_total") == 1
        assert await gateway.missing() == []


async def test_a_killed_supervisor_takes_everything_along(stage: Stage, tmp_path: Path) -> None:
    async with stage.gateway(tmp_path, ORDERS, PLANS, STORE="embedded") as gateway:
        assert len(gateway.processes()) == 3
        gateway.process.kill()
        assert await gateway.ended() == -9


async def test_a_killed_embedded_store_is_started_again_with_its_counts(stage: Stage, tmp_path: Path) -> None:
    async with stage.gateway(tmp_path, ORDERS, PLANS, STORE="embedded") as gateway:
        assert await rush([gateway], stage.token(), 12, connections=2) == {200: 12}
        kill(gateway.store)
        await gateway.said("the embedded store ended, it is started again")
        await gateway.said("the embedded store is back")
        await until(gateway.is_ready)
        assert await rush([gateway], stage.token(), 12, connections=2) == {200: 8, 429: 4}
        await until(gateway.is_ready)


async def test_readiness_ends_first_and_traffic_is_taken_until_balancers_know(stage: Stage, tmp_path: Path) -> None:
    """`drain: {delay: …}`: meanwhile nothing is different for a client."""
    async with stage.gateway(tmp_path, ORDERS, PLANS, DELAY="1s") as gateway, gateway.connected() as (reader, writer):
        gateway.process.terminate()
        await until(lambda: unready(gateway))
        writer.write(gateway.head(stage.token()))
        assert b"\r\nconnection: close\r\n" not in await read_answer(reader)
        assert (await gateway.get(token=stage.token())).status_code == 200
        assert await reader.read() == b""  # and then the end
        assert await gateway.ended() == 0


async def test_a_second_signal_ends_it_at_once(stage: Stage, tmp_path: Path) -> None:
    async with (
        stage.gateway(tmp_path, ORDERS, PLANS, STORE="embedded", DELAY="30s", WORKERS="2") as gateway,
        gateway.connected() as (reader, writer),
    ):
        writer.write(gateway.head(stage.token(), "/orders/slow/60"))
        await until(lambda: is_forwarded(gateway))
        gateway.process.terminate()
        await until(lambda: unready(gateway))
        began = time.monotonic()
        gateway.interrupt()
        assert await reader.read() == b""
        assert await gateway.ended() == 0
        assert time.monotonic() - began < 10
        await gateway.said("stopped with 1 connections still busy")
        lines = [line for line in gateway.access_log() if line["path"] == "/orders/slow/60"]
        assert [(line["status"], line["reason"]) for line in lines] == [(0, "client_abort")]


async def test_ctrl_c_leaves_nothing(stage: Stage, tmp_path: Path) -> None:
    async with stage.gateway(tmp_path, ORDERS, PLANS, STORE="embedded") as gateway:
        gateway.interrupt()
        assert await gateway.ended() == 0


async def test_a_terminal_that_is_closed_ends_what_was_started_in_it(stage: Stage, tmp_path: Path) -> None:
    async with stage.gateway(tmp_path, ORDERS, PLANS, start=False) as gateway:
        terminal = gateway.in_terminal()
        await gateway.start()
        os.close(terminal)
        assert await gateway.ended() == 0


# --- what does not start


@pytest.mark.slow
async def test_one_data_folder_is_for_one_gateway(stage: Stage, tmp_path: Path) -> None:
    data = str(tmp_path / "data")
    async with (
        stage.gateway(tmp_path, ORDERS, PLANS, STORE="embedded", DATA=data),
        stage.gateway(tmp_path, ORDERS, PLANS, STORE="embedded", DATA=data, start=False) as second,
    ):
        why = await refused(second)
        assert why.startswith(f"not started: {data}/store is in use by another gateway; give each its own `data`")


@pytest.mark.parametrize("taken", ["LISTEN", "ADMIN"])
async def test_a_taken_port_is_told(stage: Stage, tmp_path: Path, taken: str) -> None:
    async with stage.gateway(tmp_path, ORDERS, PLANS) as first:
        address = first.environment[taken]
        async with stage.gateway(tmp_path, ORDERS, PLANS, start=False, **{taken: address}) as second:
            assert await refused(second) == f"not started: cannot listen on {address}: Address already in use"


async def test_every_problem_of_the_plans_is_told_and_nothing_is_started(stage: Stage, tmp_path: Path) -> None:
    bad = """
plans:
  gold: {services: [invoices], limits: {hits: [5/fortnight]}}
applications:
  mobile: {plans: [silver], client_ids: [mobile-app]}
  tablet: {plans: [gold], client_id: tablet-app}
"""
    async with stage.gateway(tmp_path, ORDERS, bad, STORE="embedded", start=False) as gateway:
        await gateway.launch()
        assert await gateway.ended() == 1
        lines = gateway.errors().splitlines()
        assert len(lines) == 4
        for word in ("invoices", "fortnight", "silver", "client_id"):
            assert [line for line in lines if f"'{word}'" in line and "2.yaml:" in line], word
        assert gateway.told() == gateway.errors()
        assert not (tmp_path / "data").exists()


async def refused(gateway: Gateway) -> str:
    """Why it did not start; nothing of it is left, and it has served nobody."""
    await gateway.launch()
    assert await gateway.ended() == 1
    (line,) = gateway.log()
    assert line["level"] == "error"
    return str(line["message"])


async def is_forwarded(gateway: Gateway) -> bool:
    """Whether a request is with the service."""
    return await gateway.metric('gateway_upstream_connections{state="open",upstream="orders"}') == 1


async def unready(gateway: Gateway) -> object:
    answer = await gateway.readyz()
    return answer.json() if answer.status_code == 503 else None


async def is_refused(gateway: Gateway) -> bool:
    """Whether a new connection is not taken, or not answered."""
    try:
        async with asyncio.timeout(0.1), gateway.connected() as (reader, writer):
            writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            return await reader.read(1) == b""
    except (ConnectionError, TimeoutError):
        return True
