"""Another configuration beside traffic: taken whole, and what was served before is gone, piece by piece."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from gateway import staging as module
from gateway.control import pack
from gateway.model import Accept, Config, KeyPlace, Plan, Rule, Service, Store, Target, Upstream
from gateway.quota.memory import MemoryLedger
from gateway.quota.refusals import Refusals
from gateway.site import build_site
from gateway.staging import Staging
from gateway.store.shared import share

pytestmark = pytest.mark.asyncio


def config(generation: str, count: int = 45) -> Config:
    services = {name: service(name) for name in (f"{generation}-{number}" for number in range(count))}
    plans = {"free": Plan(name="free", services=tuple(services))}
    return replace(Config(store=Store(kind="memory")), services=services, plans=plans)


def service(name: str) -> Service:
    return Service(
        name=name,
        path=f"/{name}",
        upstream=Upstream(name=name, targets=(Target(False, "127.0.0.1", 9),)),
        accept=(Accept(api_key=KeyPlace("header", "x-api-key")),),
        rules=tuple(Rule(method="GET", pattern=f"/{number}", usage={"hits": 1}) for number in range(3)),
    )


@asynccontextmanager
async def staging(first: Config, folder: Path) -> AsyncIterator[Staging]:
    async with AsyncExitStack() as stack:
        ledger = MemoryLedger(time.time, lambda alert: None)
        shared = await share(stack, first.store, None, folder, lambda row: None)
        refusals = Refusals("gw", lambda counts: asyncio.sleep(0), ())
        site = build_site(first, ledger, shared, refusals, asyncio.get_running_loop())
        staged = Staging(site, ledger, shared, refusals)
        stack.push_async_callback(staged.close)
        del site, first  # or this frame holds them
        yield staged


def alive(generation: str) -> int:
    """Services of a generation that something still holds."""
    gc.unfreeze()
    return sum(isinstance(one, Service) and one.name.startswith(f"{generation}-") for one in gc.get_objects())


async def turns_until_gone(generation: str) -> int:
    """The loop's turns until nothing holds a service of it."""
    turns = 0
    while alive(generation):
        turns += 1
        assert turns < 100
        await asyncio.sleep(0)
    return turns


async def test_what_was_served_goes_piece_by_piece(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AT_ONCE", 5)
    async with staging(config("old"), tmp_path) as staged:
        await staged.prepare(pack(config("new")))
        assert alive("old") == 45
        staged.commit()
        assert list(staged.site.config.services) == [f"new-{number}" for number in range(45)]
        assert await turns_until_gone("old") > 45 / 5
        assert alive("new") == 45


async def test_what_is_not_taken_leaves_all_as_it_was(tmp_path: Path) -> None:
    async with staging(config("old"), tmp_path) as staged:
        broken = replace(config("new", 1), services={"a": service("a"), "b": replace(service("b"), path="/a")})
        with pytest.raises(ValueError, match="have an equal host and path"):
            await staged.prepare(pack(broken))
        assert next(iter(staged.site.config.services)) == "old-0"
