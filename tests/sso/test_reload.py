"""Another configuration: what sign-on had of the old one is closed, and nothing of it is left."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import pytest_asyncio
from corpus.saml.builder import NOW
from rigs.sign_on import PLANS, Stage, stage
from rigs.waiting import until

from gateway import staging as staged
from gateway.control import pack
from gateway.quota.memory import MemoryLedger
from gateway.quota.refusals import Refusals
from gateway.staging import Staging

from .saml.rig import files

BOTH = PLANS.replace(
    "\nservices:", "\n  partner: {saml: {metadata: idp.xml, cert: sp.pem, key: sp.key}}\nservices:"
).replace("sign_in: keycloak}]", "sign_in: [keycloak, partner]}]", 1)


class Worker(NamedTuple):
    """What is served, and how another configuration is taken."""

    web: Stage
    staging: Staging

    async def reload(self) -> None:
        await self.staging.prepare(pack(self.web.config))
        self.staging.commit()


@pytest_asyncio.fixture
async def worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Worker]:
    files(tmp_path)
    monkeypatch.setattr(staged, "RETIRE", 0.0)

    async def unheard(_counts: object) -> None:
        pass

    async with stage(tmp_path, BOTH, now=NOW) as web:
        ledger = MemoryLedger(web.clock, lambda _alert: None)
        staging = Staging(web.site, ledger, web.shared, Refusals("gw", unheard))
        yield Worker(web, staging)
        await staging.close()


def threads() -> int:
    return sum(thread.name.startswith("saml") for thread in threading.enumerate())


def descriptors_open() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


@pytest.fixture
def no_garbage_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


async def read_something(staging: Staging) -> None:
    """So that the provider's threads run."""
    assert staging.site.sign_on is not None
    way = staging.site.sign_on.app.ways["partner"]
    await way._reader.run(lambda: None)  # type: ignore[attr-defined]


@pytest.mark.usefixtures("no_garbage_collector")
async def test_what_the_old_one_had_is_closed(worker: Worker) -> None:
    before = threads()
    await read_something(worker.staging)
    assert threads() == before + 1
    tasks, descriptors = len(asyncio.all_tasks()), descriptors_open()
    apps = []
    for _ in range(5):
        await worker.reload()
        await read_something(worker.staging)
        apps.append(weakref.ref(worker.staging.site.sign_on.app))  # type: ignore[union-attr]
    await until(lambda: threads() == before + 1, "the old ones' threads")
    await until(lambda: len(asyncio.all_tasks()) <= tasks)
    assert descriptors_open() <= descriptors
    *old, now = apps
    await until(lambda: [app() for app in old] == [None] * 4, "the old ones' end")
    assert now() is not None


async def test_one_that_is_not_taken_is_closed_too(worker: Worker) -> None:
    before = threads()
    for _ in range(3):
        await worker.staging.prepare(pack(worker.web.config))
        await worker.staging._next.sign_on.app.ways["partner"]._reader.run(lambda: None)  # type: ignore
    assert threads() == before + 1
    await worker.staging._abandon()
    await until(lambda: threads() == before, "its threads")
