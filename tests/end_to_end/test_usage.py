"""An operator looks at usage, adds to a limit and starts one again, while a gateway serves."""

from __future__ import annotations

import asyncio
import getpass
import json
from pathlib import Path

import pytest
from rigs.load import rush
from rigs.stage import ORDERS, Stage

pytestmark = pytest.mark.asyncio(loop_scope="session")

PLANS = """
plans:
  gold: {services: [orders], limits: {hits: [10/eternity]}}
applications:
  mobile: {plans: [gold], client_ids: [mobile-app]}
"""
BELIEVED = 1.1  # seconds in which a refusal is


async def test_a_top_up_and_a_reset_hold_in_all_workers_within_a_second(stage: Stage, tmp_path: Path) -> None:
    async with stage.gateway(tmp_path, ORDERS, PLANS, STORE="embedded", WORKERS="2") as gateway:
        plans = str(gateway.plans)
        assert await rush([gateway], stage.token(), 20, connections=4) == {200: 10, 429: 10}
        done = await gateway.command("usage", "topup", plans, "mobile", "5", "--limit", "hits/eternity")
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout == "mobile: 10 spent of 15 hits/eternity of gold, for ever\n"
        await asyncio.sleep(BELIEVED)
        assert await rush([gateway], stage.token(), 20, connections=4) == {200: 5, 429: 15}
        shown = json.loads((await gateway.command("usage", "show", plans, "-o", "json")).stdout)
        assert [(row["limit"], row["spent"]) for row in shown] == [(15, 15)]
        done = await gateway.command("usage", "reset", plans, "mobile", "--admin", gateway.admin)
        assert done.stdout == "mobile: 0 spent (was 15) of 15 hits/eternity of gold, for ever\n"
        await asyncio.sleep(BELIEVED)
        assert await rush([gateway], stage.token(), 20, connections=4) == {200: 15, 429: 5}
        lines = [line for line in gateway.log() if line["logger"] == "gateway.audit"]
        assert [(line["action"], line["application"], line["limit"]) for line in lines] == [
            ("usage.topup", "mobile", "hits/eternity"),
            ("usage.reset", "mobile", "hits/eternity"),
        ]
        assert all(line["time"] and line["by"] and line["peer"].startswith("127.0.0.1:") for line in lines)
        assert {line["user"] for line in lines} == {getpass.getuser()}
        assert lines[0]["after"] == {"spent": 10, "held": 0, "topped": 5}


async def test_what_cannot_be_done_is_told_and_changes_nothing(stage: Stage, tmp_path: Path) -> None:
    async with stage.gateway(tmp_path, ORDERS, PLANS, STORE="embedded") as gateway:
        refused = await gateway.command("usage", "topup", str(gateway.plans), "mobil", "5")
        assert (refused.returncode, refused.stdout) == (1, "")
        assert refused.stderr == "gateway usage topup: 'mobil' is not an application of the plans\n"
        refused = await gateway.command("usage", "topup", str(gateway.plans), "mobile", "--", "-5")
        assert refused.stderr == "gateway usage topup: 0 were added; it can be 0 to 2^53\n"
        assert (await gateway.command("usage", "topup", str(gateway.plans), "mobile", "many")).returncode == 2


async def test_plans_that_were_reloaded_are_those_that_hold(stage: Stage, tmp_path: Path) -> None:
    async with stage.gateway(tmp_path, ORDERS, PLANS, STORE="embedded") as gateway:
        gateway.configure(ORDERS, PLANS.replace("mobile:", "phone:"))
        await gateway.reload()
        assert (await gateway.command("usage", "reset", str(gateway.plans), "phone")).returncode == 0
        assert (await gateway.command("usage", "reset", str(gateway.plans), "mobile")).returncode == 1


async def test_the_memory_store_has_nothing_to_change(stage: Stage, tmp_path: Path) -> None:
    async with stage.gateway(tmp_path, ORDERS, PLANS) as gateway:
        for command in (("usage", "reset", str(gateway.plans), "mobile"), ("top", str(gateway.plans), "--once")):
            refused = await gateway.command(*command)
            assert refused.returncode == 1
            assert "with `store: memory` usage is in the worker alone" in refused.stderr


@pytest.mark.alone
async def test_top_shows_who_uses_most_and_what_is_refused(stage: Stage, tmp_path: Path) -> None:
    async with stage.gateway(tmp_path, ORDERS, PLANS, STORE="embedded") as gateway:
        looking = asyncio.create_task(
            gateway.command("top", str(gateway.plans), "--once", "--every", "6", "-o", "json")
        )
        await asyncio.sleep(2.5)  # it has had its first look
        assert await rush([gateway], stage.token(), 12, connections=2) == {200: 10, 429: 2}
        seen = json.loads((await looking).stdout)
        (mobile,) = seen["applications"]
        assert (mobile["application"], mobile["scarcest"]["percent"]) == ("mobile", 100)
        assert mobile["rate"] > 0
        assert seen["requests"]["over_limit"] > 0
        shown = await gateway.command("top", str(gateway.plans), "--every", "0.2")  # no terminal: as --once
        head, _, heads, row = shown.stdout.splitlines()
        assert head == "requests 0.0/s   refused: none"
        assert heads.split() == ["application", "units/s", "used", "spent", "limit", "of", "resets", "at"]
        assert row.split() == ["mobile", "0.0", "100", "%", "10", "10", "hits/eternity", "(gold)", "never"]
