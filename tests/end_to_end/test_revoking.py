"""A token, and all of a user, are revoked while gateways serve: every worker refuses within a second."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from rigs.load import rush
from rigs.stage import ORDERS, Stage
from rigs.stores import Server

pytestmark = pytest.mark.asyncio(loop_scope="session")

PLANS = """
plans:
  gold: {services: [orders]}
applications:
  mobile: {plans: [gold], client_ids: [mobile-app]}
"""
KNOWN = 1.0  # seconds until every worker of every gateway knows


async def test_every_worker_of_every_gateway_refuses_within_a_second(
    stage: Stage, redis: Server, tmp_path: Path
) -> None:
    more = {"STORE": redis.url, "WORKERS": "2"}
    async with stage.gateways(2, tmp_path, ORDERS, PLANS, **more) as (one, two):
        good, lost = stage.token(jti="good"), stage.token(jti="lost")
        assert await rush([one, two], lost, 40, connections=8) == {200: 40}
        done = await one.command("tokens", "revoke", str(one.plans), "--jti", "lost", "--reason", "lost phone")
        assert (done.returncode, done.stderr) == (0, "")
        await asyncio.sleep(KNOWN)
        assert await rush([one, two], lost, 40, connections=8) == {401: 40}
        assert await rush([one, two], good, 40, connections=8) == {200: 40}
        (row,) = json.loads((await two.command("tokens", "ls", str(two.plans), "-o", "json")).stdout)
        assert (row["what"], row["name"], row["reason"]) == ("jti", "lost", "lost phone")
        assert (await two.command("tokens", "restore", str(two.plans), row["id"])).returncode == 0
        await asyncio.sleep(KNOWN)
        assert await rush([one, two], lost, 40, connections=8) == {200: 40}
        assert [line["action"] for line in one.log() if line["logger"] == "gateway.audit"] == ["tokens.revoke"]


async def test_with_the_memory_store_the_worker_hears_of_it_and_a_restart_does_not_forget(
    stage: Stage, tmp_path: Path
) -> None:
    token = stage.token()
    async with stage.gateway(tmp_path, ORDERS, PLANS) as gateway:
        assert await rush([gateway], token, 4) == {200: 4}
        done = await gateway.command("tokens", "revoke", str(gateway.plans), "--client", "mobile-app")
        assert done.returncode == 0
        await asyncio.sleep(KNOWN)
        assert await rush([gateway], token, 4) == {401: 4}
        await gateway.stop()
        await gateway.start()
        assert await rush([gateway], token, 4) == {401: 4}
