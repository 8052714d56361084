"""Alerts stay in the outbox until they are done: through restarts, rivals, a store that is away, and lost data."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from redis.asyncio import Redis

from gateway.alerts.outbox import MemoryOutbox
from gateway.alerts.store_outbox import GROUP, StoreOutbox
from gateway.model import Alert

KEY = "gw:outbox"

Make = Callable[..., Alert]
Open = Callable[..., StoreOutbox]


async def raise_alerts(redis: Redis, *alerts: Alert) -> None:
    """As the ledger's script does."""
    for alert in alerts:
        await redis.xadd(KEY, {"alert": json.dumps(alert._asdict())})


@pytest.fixture
async def redis(store: Any) -> AsyncIterator[Redis]:
    async with store.client() as client:
        yield client


@pytest.fixture
def open_outbox(redis: Redis) -> Open:
    """An outbox of the gateway `a` that takes over after a minute."""

    def open_outbox(consumer: str = "a", **options: Any) -> StoreOutbox:
        return StoreOutbox(redis, "gw", consumer, **options)

    return open_outbox


async def read(outbox: StoreOutbox, attempts: int = 3) -> list[Alert]:
    """What the next read gives; the first ones may only make the group."""
    for _ in range(attempts):
        if entries := await outbox.read(10, 0.01):
            return [entry.alert for entry in entries]
    return []


async def pretend_idle(redis: Redis, consumer: str, seconds: int) -> None:
    """As if `consumer` had not touched its entries for so long."""
    for entry in await redis.xpending_range(KEY, GROUP, "-", "+", 100):
        options = {"idle": seconds * 1000, "justid": True}
        await redis.xclaim(KEY, GROUP, consumer, 0, [entry["message_id"]], **options)


async def test_what_was_raised_is_read_once(redis: Redis, open_outbox: Open, make_alert: Make) -> None:
    outbox = open_outbox()
    await raise_alerts(redis, make_alert("a1"), make_alert("a2", window_end=None))
    assert await read(outbox) == [make_alert("a1"), make_alert("a2", window_end=None)]
    assert await read(outbox) == []


@pytest.mark.parametrize("protocol", [2, 3], ids=["RESP2", "RESP3"])
async def test_both_protocols_of_the_store_are_understood(protocol: int, store: Any, make_alert: Make) -> None:
    async with store.client(protocol) as redis:
        await raise_alerts(redis, make_alert("a1"), make_alert("a2"))
        for consumer in ("a", "a", "b"):  # new entries, our own after a restart, a dead one's
            assert await read(StoreOutbox(redis, "gw", consumer)) == [make_alert("a1"), make_alert("a2")]
            await pretend_idle(redis, "a", 61)


async def test_what_was_raised_before_any_gateway_read_counts(
    redis: Redis, open_outbox: Open, make_alert: Make
) -> None:
    await raise_alerts(redis, make_alert("early"))
    assert await read(open_outbox()) == [make_alert("early")]


async def test_a_read_waits_for_what_comes(redis: Redis, open_outbox: Open, make_alert: Make) -> None:
    outbox = open_outbox()
    await read(outbox)
    reading = asyncio.create_task(outbox.read(10, 5.0))
    await asyncio.sleep(0.02)
    await raise_alerts(redis, make_alert())
    async with asyncio.timeout(2):
        assert [entry.alert for entry in await reading] == [make_alert()]


async def test_what_is_done_leaves_the_store(redis: Redis, open_outbox: Open, make_alert: Make) -> None:
    outbox = open_outbox()
    await raise_alerts(redis, make_alert())
    entries = await outbox.read(10, 0.01) or await outbox.read(10, 0.01)
    await outbox.done(entries[0].id)
    assert await redis.xlen(KEY) == 0
    assert (await redis.xpending(KEY, GROUP))["pending"] == 0


async def test_gateways_share_the_work(redis: Redis, open_outbox: Open, make_alert: Make) -> None:
    one, two = open_outbox("a"), open_outbox("b")
    await read(one)
    await raise_alerts(redis, *(make_alert(f"a{n}") for n in range(4)))
    first = [entry.alert.id for entry in await one.read(2, 0.01)]
    second = [entry.alert.id for entry in await two.read(10, 0.01)]
    assert (first, second) == (["a0", "a1"], ["a2", "a3"])


async def test_a_gateway_that_restarts_goes_on_at_once_with_what_it_left(
    redis: Redis, open_outbox: Open, make_alert: Make
) -> None:
    await raise_alerts(redis, *(make_alert(f"a{n}") for n in range(3)))
    before = open_outbox()
    [first, *_] = await before.read(10, 0.01) or await before.read(10, 0.01)
    await before.done(first.id)
    after = open_outbox()
    assert [entry.alert.id for entry in await after.read(1, 0.01)] == ["a1"]
    assert [entry.alert.id for entry in await after.read(1, 0.01)] == ["a2"]
    assert await read(after) == []


async def test_a_dead_gateways_alerts_are_taken_over_and_a_living_ones_are_not(
    redis: Redis, open_outbox: Open, make_alert: Make
) -> None:
    await raise_alerts(redis, make_alert())
    await read(open_outbox("dead"))
    assert await read(open_outbox("b")) == []
    await pretend_idle(redis, "dead", 59)
    assert await read(open_outbox("b")) == []
    await pretend_idle(redis, "dead", 61)
    assert await read(open_outbox("b")) == [make_alert()]


async def test_keeping_an_entry_says_that_its_gateway_lives(redis: Redis, open_outbox: Open, make_alert: Make) -> None:
    await raise_alerts(redis, make_alert())
    slow = open_outbox("slow")
    [entry] = await slow.read(10, 0.01) or await slow.read(10, 0.01)
    await pretend_idle(redis, "slow", 61)
    await slow.keep([entry.id])
    assert await read(open_outbox("b")) == []


async def test_all_of_a_dead_gateways_alerts_are_taken_over_page_by_page(
    redis: Redis, open_outbox: Open, make_alert: Make
) -> None:
    names = [f"a{n}" for n in range(25)]
    await raise_alerts(redis, *map(make_alert, names))
    dead = open_outbox("dead")
    while await read(dead, 2):
        pass
    await pretend_idle(redis, "dead", 61)
    heir = open_outbox("heir")
    taken = [alert.id for _ in range(3) for alert in await read(heir, 1)]
    assert taken == names


async def test_what_is_no_alert_is_removed_and_told(
    redis: Redis, open_outbox: Open, make_alert: Make, caplog: pytest.LogCaptureFixture
) -> None:
    for field, value in (("alert", "{"), ("alert", "[1]"), ("alert", '{"id": 1}'), ("other", "x")):
        await redis.xadd(KEY, {field: value})
    await raise_alerts(redis, make_alert())
    assert await read(open_outbox()) == [make_alert()]
    assert await redis.xlen(KEY) == 1
    assert [record.message for record in caplog.records] == ["the outbox held an entry that is no alert"] * 4


async def test_an_entry_deleted_by_hand_while_it_was_pending_is_forgotten(
    redis: Redis, open_outbox: Open, make_alert: Make
) -> None:
    await raise_alerts(redis, make_alert("a1"), make_alert("a2"))
    await read(open_outbox())
    [first, _] = await redis.xrange(KEY)
    await redis.xdel(KEY, first[0])
    assert await read(open_outbox()) == [make_alert("a2")]
    assert (await redis.xpending(KEY, GROUP))["pending"] == 1


async def test_a_store_that_is_away_is_tried_less_and_less_often(
    store: Any, open_outbox: Open, caplog: pytest.LogCaptureFixture
) -> None:
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    caplog.set_level(logging.INFO)
    outbox = open_outbox(sleep=sleep)
    await read(outbox)
    store.kill()
    for _ in range(1200):  # an hour and a half
        assert await outbox.read(10, 0.01) == []
    assert len(pauses) == 1200
    longest = [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, *[5.0] * 1194]
    assert all(limit / 2 <= pause <= limit for limit, pause in zip(longest, pauses, strict=True))
    store.start()
    assert await outbox.read(10, 0.01) == []
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


async def test_alerts_survive_the_stores_death(store: Any, redis: Redis, open_outbox: Open, make_alert: Make) -> None:
    outbox = open_outbox()
    await raise_alerts(redis, make_alert("a1"), make_alert("a2"), make_alert("a3"))
    [first, second, _] = await outbox.read(10, 0.01) or await outbox.read(10, 0.01)
    await outbox.done(first.id)
    store.kill()
    await outbox.done(second.id)  # cannot be told now
    await outbox.keep([second.id])
    store.start()
    assert await read(outbox) == []
    assert [alert.id for alert in await read(open_outbox())] == ["a3"]


async def test_a_store_that_lost_its_data_gets_a_new_group(
    store: Any, redis: Redis, open_outbox: Open, make_alert: Make
) -> None:
    outbox = open_outbox()
    await raise_alerts(redis, make_alert("a1"))
    [entry] = await outbox.read(10, 0.01) or await outbox.read(10, 0.01)
    store.kill(forget=True)
    store.start()
    await outbox.keep([entry.id])
    await outbox.done(entry.id)
    await raise_alerts(redis, make_alert("a2"))
    assert await read(outbox, 10) == [make_alert("a2")]


async def test_a_stream_deleted_during_a_read_is_made_anew(
    redis: Redis, store: Any, open_outbox: Open, make_alert: Make
) -> None:
    outbox = open_outbox()
    await read(outbox)
    reading = asyncio.create_task(outbox.read(10, 5.0))
    await asyncio.sleep(0.02)
    await redis.delete(KEY)
    async with asyncio.timeout(2):
        assert await reading == []
    await raise_alerts(redis, make_alert())
    assert await read(outbox) == [make_alert()]


async def test_the_memory_outbox_gives_each_alert_once(make_alert: Make) -> None:
    outbox = MemoryOutbox()
    for name in ("a1", "a2", "a3"):
        outbox.push(make_alert(name))
    entries = [*await outbox.read(2, 0.01), *await outbox.read(2, 0.01)]
    assert [entry.alert.id for entry in entries] == ["a1", "a2", "a3"]
    assert len({entry.id for entry in entries}) == 3
    assert await outbox.read(2, 0.001) == []


async def test_the_memory_outbox_waits_for_what_comes(make_alert: Make) -> None:
    outbox = MemoryOutbox()
    reading = asyncio.create_task(outbox.read(10, 5.0))
    await asyncio.sleep(0)
    outbox.push(make_alert())
    async with asyncio.timeout(1):
        [entry] = await reading
    await outbox.keep([entry.id])
    await outbox.done(entry.id)
    assert entry.alert == make_alert()
