"""The files, read by a process of their own, and what becomes of what they say."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from rigs.waiting import until

from gateway.config import load
from gateway.model import Config
from gateway.process.reload import Outcome, Reloader, read
from gateway.workers import WorkerError

PLANS = """
services:
  orders: {upstream: {targets: ["http://orders"]}, accept: [{api_key: {header: X-Api-Key}}], rules: [GET /: hits]}
plans:
  gold: {services: [orders], limits: {hits: [100/day]}}
"""


class Site:
    """What a gateway serves; `refuses` says why it takes nothing else."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.write(PLANS)
        self.config = load(folder)
        self.applied = 0
        self.refuses: str | None = None
        self.may_apply = asyncio.Event()
        self.may_apply.set()
        self.counted: list[str] = []
        self.reloader = Reloader(folder, self.config, self.apply, self.counted.append)

    def write(self, text: str) -> None:
        (self.folder / "plans.yaml").write_text(text)

    async def apply(self, config: Config) -> None:
        self.applied += 1
        await self.may_apply.wait()
        if self.refuses:
            raise WorkerError(self.refuses)
        self.config = config

    @property
    def limit(self) -> int:
        return self.config.plans["gold"].limits[0].value


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


async def test_what_has_changed_is_applied(site: Site) -> None:
    site.write(PLANS.replace("100/day", "200/day"))
    reloaded = await site.reloader.reload()
    assert (reloaded.outcome, site.limit) == (Outcome.RELOADED, 200)
    assert (await site.reloader.reload()).outcome is Outcome.UNCHANGED
    assert site.applied == 1
    assert site.counted == ["reloaded", "unchanged"]


async def test_problems_come_as_plain_values_with_their_places(site: Site) -> None:
    site.write(PLANS.replace("day", "fortnight"))
    reloaded = await site.reloader.reload()
    assert reloaded.outcome is Outcome.INVALID
    (problem,) = reloaded.problems
    assert (problem["line"], problem["column"], problem["path"]) == (5, 46, "plans.gold.limits.hits[0]")
    assert problem["text"].startswith(f"{problem['file']}:5:46: plans.gold.limits.hits[0]: 'fortnight' is not a period")
    assert site.applied == 0


async def test_what_workers_do_not_take_is_tried_again_next_time(site: Site) -> None:
    site.write(PLANS.replace("100/day", "200/day"))
    site.refuses = "worker 1 (process 7): no answer"
    reloaded = await site.reloader.reload()
    assert reloaded.outcome is Outcome.FAILED
    assert reloaded.detail == "worker 1 (process 7): no answer; the configuration stays as it was"
    site.refuses = None
    assert (await site.reloader.reload()).outcome is Outcome.RELOADED


async def test_who_asks_together_shares_a_reload_and_who_asks_later_gets_another(site: Site) -> None:
    site.write(PLANS.replace("100/day", "200/day"))
    site.may_apply.clear()
    first = asyncio.create_task(site.reloader.reload())
    await until(lambda: site.applied)
    tasks = [asyncio.create_task(site.reloader.reload()) for _ in range(5)]
    await asyncio.sleep(0)
    site.may_apply.set()
    assert (await first).outcome is Outcome.RELOADED
    later = await asyncio.gather(*tasks)
    assert {reloaded.outcome for reloaded in later} == {Outcome.UNCHANGED}
    assert site.counted == ["reloaded", "unchanged"]


async def test_a_folder_that_is_gone_is_a_problem(site: Site) -> None:
    (site.folder / "plans.yaml").unlink()
    site.folder.rmdir()
    assert (await site.reloader.reload()).outcome is Outcome.INVALID


async def test_a_reader_that_fails_says_why(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").symlink_to("a.yaml")
    assert not isinstance(await read(tmp_path), Config)
