"""Accounts of single scopes, read and changed beside a ledger that uses them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from rigs.clusters import ClusterRig
from rigs.stores import Server

from gateway.model import Charge, Limit, Period, Store, Verdict
from gateway.quota.adjust import Accounts, Had, RangeError
from gateway.quota.store import StoreLedger
from gateway.store import StoreAway, StoreError
from gateway.store.slots import slot
from gateway.store.topology import topology

from .conftest import PATIENT, ask, limit, prefixes

pytestmark = pytest.mark.redis

TEN = limit(10, period=Period.ETERNITY)
MONTHLY = limit(1000, period=Period.MONTH, zone="Europe/Berlin")


class Shop:
    """A ledger at work and an operator's accounts, on one store; in real time."""

    def __init__(self, url: str) -> None:
        prefix, store = next(prefixes), Store(kind="url", url=url)
        self.prefix = prefix
        self.servers = topology(store)
        self.ledger = StoreLedger(topology(store), prefix=prefix, timeout=PATIENT, look=0.05, fence=0.0)
        self.accounts = self.operator()

    def operator(self, *, replicas: int = 0) -> Accounts:
        return Accounts(self.servers, prefix=self.prefix, fence=0.0, durable=False, replicas=replicas)

    async def use(self, requests: int, *limits: Limit) -> int:
        """How many were let in."""
        claim = self.ledger.claim("mobile", tuple(Charge(one, 1) for one in limits))
        outcomes = [await ask(self.ledger, claim) for _ in range(requests)]
        return sum(outcome.verdict is Verdict.GRANTED for outcome in outcomes)

    async def settled(self) -> None:
        """All is reported, and returned."""
        while self.ledger.owes or self.ledger.in_hand:
            await asyncio.sleep(0.01)


@pytest.fixture
async def shop(urls: Callable[[str], str]) -> AsyncIterator[Shop]:
    shop = Shop(urls("valkey"))
    await shop.ledger.start()
    yield shop
    await shop.ledger.close()
    await shop.servers.close()


async def test_what_is_used_can_be_read(shop: Shop) -> None:
    assert await shop.use(4, TEN, MONTHLY) == 4
    await shop.settled()
    ten, monthly = await shop.accounts.read("mobile", [TEN, MONTHLY])
    assert (ten.units, ten.window) == (Had(4, 0, 0), (0.0, None))
    assert monthly.units.spent == 4
    (nobody,) = await shop.accounts.read("web", [TEN])
    assert nobody.units == Had(0, 0, 0)


async def test_who_was_refused_is_let_in_within_a_second_of_a_top_up(shop: Shop) -> None:
    assert await shop.use(12, TEN) == 10
    (done,) = await shop.accounts.top_up("mobile", [TEN], 5)
    assert (done.before.topped, done.after.topped) == (0, 5)
    await asyncio.sleep(1.0)
    assert await shop.use(12, TEN) == 5


async def test_a_reset_gives_the_whole_limit_anew(shop: Shop) -> None:
    assert await shop.use(12, TEN) == 10
    await shop.settled()
    (done,) = await shop.accounts.reset("mobile", [TEN])
    assert (done.before, done.after) == (Had(10, 0, 0), Had(0, 0, 0))
    await asyncio.sleep(1.0)
    assert await shop.use(12, TEN) == 10


async def test_no_more_is_taken_back_than_was_added(shop: Shop) -> None:
    await shop.accounts.top_up("mobile", [TEN], 5)
    with pytest.raises(RangeError, match="5 were added"):
        await shop.accounts.top_up("mobile", [TEN], -6)
    (done,) = await shop.accounts.top_up("mobile", [TEN], -5)
    assert done.after.topped == 0


async def test_a_store_that_has_lost_its_data_is_not_changed_until_all_have_told(shop: Shop) -> None:
    other = Accounts(shop.servers, prefix=next(prefixes), fence=60.0, durable=False, replicas=0)
    with pytest.raises(StoreAway, match="may have lost data"):
        await other.top_up("mobile", [TEN], 5)


async def test_what_fewer_replicas_have_than_must_is_told(shop: Shop) -> None:
    from gateway.quota import adjust

    operator = shop.operator(replicas=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(adjust, "REPLICATION", 50)
        with pytest.raises(adjust.UnsureError, match="it is done, but fewer than 1 replicas"):
            await operator.top_up("mobile", [TEN], 5)


async def test_what_is_no_counter_is_named(shop: Shop) -> None:
    key = f"{shop.prefix}:{{mobile}}:gold::hits:eternity:UTC:0"
    client = shop.servers.client("")
    await client.set(key, "rubbish")
    await client.aclose()
    for work in (shop.accounts.read("mobile", [TEN]), shop.accounts.reset("mobile", [TEN])):
        with pytest.raises(StoreError, match="is not a counter"):
            await work


async def test_a_store_that_is_away_is_told_as_that(server: Server) -> None:
    shop = Shop(server.url)
    await shop.accounts.top_up("mobile", [TEN], 5)
    server.kill()
    for work in (shop.accounts.read("mobile", [TEN]), shop.accounts.top_up("mobile", [TEN], 1)):
        with pytest.raises(StoreAway, match="cannot be asked"):
            await work
    await shop.servers.close()


async def test_in_a_cluster_each_scope_is_found_also_when_its_slot_has_moved(tmp_path: Path) -> None:
    rig = ClusterRig(tmp_path, kind="valkey")
    try:
        servers = topology(rig.start().store(wait=0))
        accounts = Accounts(servers, prefix="gw", fence=0.0, durable=False, replicas=0)
        for name in ("a", "b", "c", "d"):
            await accounts.top_up(name, [TEN, MONTHLY], 5)
        source = rig.owner("a")
        rig.move_slot(slot("a"), next(server for server in rig.servers if server is not source))
        assert rig.owner("a") is not source
        rows = await accounts.top_up("a", [TEN, MONTHLY], 1)
        assert [row.after.topped for row in rows] == [6, 6]
        assert [(await accounts.read(name, [TEN]))[0].units.topped for name in ("a", "b", "c", "d")] == [6, 5, 5, 5]
        await servers.close()
    finally:
        rig.close()
