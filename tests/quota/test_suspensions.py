"""Who goes over a limit is suspended by a mark, once, and again by the next request where the store was away."""

from __future__ import annotations

import asyncio
import logging

import pytest
from rigs.shared import marks
from rigs.stores import Server
from rigs.waiting import until

from gateway.model import Limit, Over, Period, Store
from gateway.quota.suspensions import Suspensions, suspended
from gateway.store import StoreAway
from gateway.store.marks import MemoryMarks, Row

LIMIT = Limit(plan="gold", period=Period.DAY, value=5, over=Over.SUSPEND)


class Marks(MemoryMarks):
    """In memory; `away` as a store that does not answer."""

    def __init__(self) -> None:
        super().__init__(lambda: 1_000.0, lambda row: None)
        self.away = False
        self.written = 0

    async def _write(self, row: Row) -> Row:
        self.written += 1
        if self.away:
            raise StoreAway("it does not answer")
        return await super()._write(row)


async def test_a_scope_is_suspended_once_with_what_it_went_over() -> None:
    known = Marks()
    suspensions = Suspensions(known)
    for _ in range(3):
        suspensions.suspend("mobile", LIMIT)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    suspensions.suspend("mobile", LIMIT)
    assert (suspensions.find("mobile"), suspensions.find("web"), known.written) == (True, False, 1)
    assert {scope: mark.value for scope, mark in suspended(known).items()} == {"mobile": "hits/day of gold"}


async def test_the_next_request_tries_again_where_the_store_was_away(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "gateway.audit")
    known = Marks()
    known.away = True
    suspensions = Suspensions(known)
    suspensions.suspend("mobile", LIMIT)
    await asyncio.sleep(0.01)
    assert not suspensions.find("mobile")
    assert caplog.records[0].getMessage() == "usage suspend failed: it does not answer"
    known.away = False
    suspensions.suspend("mobile", LIMIT)
    await asyncio.sleep(0.01)
    assert suspensions.find("mobile")


@pytest.mark.redis
async def test_who_was_suspended_by_hand_stays_so_whatever_another_gateway_sees_meanwhile(server: Server) -> None:
    store = Store(kind="url", url=server.url)
    async with marks(store) as operators, marks(store) as workers:
        await operators.set("suspended", "mobile", "by hand")
        suspensions = Suspensions(workers)
        assert not suspensions.find("mobile")  # it has not looked since
        suspensions.suspend("mobile", LIMIT)
        await until(lambda: suspensions.find("mobile"))
        await operators.look()
        assert [mark.value for mark in suspended(operators).values()] == ["by hand"]


async def test_an_application_stands_for_its_clients_and_users() -> None:
    known = Marks()
    for scope in ("mobile", "customers/shop", "user:mobile/alice", "account:mobile"):
        await known.set("suspended", scope, "hits/day of gold")
    await known.set("revoked", "mobile")
    assert [*suspended(known, "mobile")] == ["mobile", "user:mobile/alice"]
    assert [*suspended(known, "customers")] == ["customers/shop"]
    assert [*suspended(known, "customers/shop")] == ["customers/shop"]
    assert len(suspended(known)) == 4
