"""What must be durable says so: what a restart of the store would cost is told by /readyz and the doctor."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from rigs.gateway import Gateway
from rigs.stage import ORDERS, Stage
from rigs.stores import Server, binary_of

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.redis]

PLANS = """
plans:
  gold: {services: [orders], limits: {hits: [10/eternity]}}
applications:
  mobile: {plans: [gold], client_ids: [mobile-app]}
"""
ALL = "a restart of the store costs all usage, and limits start afresh"


@pytest.fixture
def forgetful(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A Redis that writes nothing to its disk."""
    server = Server(binary_of("redis"), tmp_path_factory.mktemp("redis")).start()
    yield server
    server.close()


async def warnings(gateway: Gateway) -> list[str]:
    answer = await gateway.readyz()
    assert answer.status_code == 200  # it counts now
    told: list[str] = answer.json().get("warnings", [])
    return told


async def of_a_restart(gateway: Gateway) -> tuple[str, str]:
    """The doctor's finding: its level and text."""
    said = await gateway.command("doctor", str(gateway.plans), "--output", "json")
    found = {finding["about"]: finding for finding in json.loads(said.stdout)}
    return found["store: restart"]["level"], found["store: restart"]["text"]


async def test_a_store_that_forgets_at_a_restart_is_told(stage: Stage, forgetful: Server, tmp_path: Path) -> None:
    async with stage.gateway(tmp_path, ORDERS, PLANS, STORE=forgetful.url) as gateway:
        (told,) = await warnings(gateway)
        assert told.startswith(f"store: {ALL}")
        level, text = await of_a_restart(gateway)
        assert level == "warning"
        assert text.startswith(ALL)


async def test_usage_in_memory_is_told(stage: Stage, tmp_path: Path) -> None:
    async with stage.gateway(tmp_path, ORDERS, PLANS, STORE="memory") as gateway:
        assert await warnings(gateway) == ["store: memory: the end of a worker costs all usage and all sessions"]
