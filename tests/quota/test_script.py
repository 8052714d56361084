"""The store's script by itself: the same call twice, and the rows and shapes of its arguments."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from gateway.quota.calls import Answer
from gateway.quota.script import run
from gateway.store.pipe import Pipe

from .conftest import MONDAY, prefixes

pytestmark = pytest.mark.redis

NOW = int(MONDAY) * 1_000_000
MINUTE = 60_000_000


class Store:
    """Calls the script as one process does, about counters `a` and `b`."""

    def __init__(self, redis: Redis, prefix: str) -> None:
        self.redis = redis
        self.pipe = Pipe(redis)
        self.prefix = prefix

    async def call(self, number: int, rows: list[tuple[Any, ...]], *shapes: Any, seen: int = NOW) -> Answer:
        """`rows`: (counter, value, start, end, report, bins)."""
        counters = [f"{self.prefix}:{{s}}:{counter}" for counter, *_ in rows]
        about = '{"application": "s", "id": "x-'
        packed = [
            argument
            for _, value, start, end, report, bins in rows
            for argument in (value, start, end, (end or 0) // 1_000_000 + 3600, report, bins, about)
        ]
        keys = (f"{self.prefix}:{{s}}:~p", f"{self.prefix}:outbox", *counters)
        shaped = [argument for shape in shapes for argument in shape]
        command = (len(keys), *keys, number, seen, 60, len(rows), *packed, len(shapes), *shaped)
        (answer,) = await run(self.pipe, [command], 5.0)
        if isinstance(answer, ResponseError):
            raise answer
        return Answer.parse(answer)

    async def spent(self, counter: str) -> int:
        packed = await self.redis.get(f"{self.prefix}:{{s}}:{counter}")
        return int(packed.split()[0]) if packed else 0


@pytest.fixture(params=["redis", "valkey"])
async def store(request: pytest.FixtureRequest, urls: Callable[[str], str]) -> AsyncIterator[Store]:
    async with Redis.from_url(urls(request.param)) as redis:
        store = Store(redis, next(prefixes))
        yield store
        await store.pipe.close()


def row(counter: str, value: int, *, report: int = 0, bins: str = "", start: int = NOW) -> tuple[Any, ...]:
    return (counter, value, start, start + MINUTE, report, bins)


async def test_the_same_number_is_counted_once_and_answered_alike(store: Store) -> None:
    first = await store.call(7, [row("a", 5, report=1)], (9, 1, 1, 1))
    assert first == Answer(MONDAY, [5], [4])
    again = await store.call(7, [row("a", 100, report=1)], (9, 1, 1, 1), seen=NOW + MINUTE)
    assert again == first
    assert await store.spent("a") == 5


async def test_a_number_that_was_overtaken_does_nothing(store: Store) -> None:
    await store.call(8, [row("a", 5)], (1, 1, 1, 1))
    with pytest.raises(ResponseError, match="SUPERSEDED"):
        await store.call(7, [row("a", 5)], (1, 1, 1, 1))
    assert await store.spent("a") == 1


async def test_each_shape_is_granted_as_often_as_it_fits_whole(store: Store) -> None:
    rows = [row("a", 10), row("b", 3)]
    answer = await store.call(1, rows, (2, 2, 1, 4, 2, 1), (5, 1, 1, 1), (2, 2, 1, 1, 2, 1))
    assert answer.granted == [2, 2, 0]  # 8 of a and 2 of b, then the last 2 of a
    assert answer.spent == [10, 2]


async def test_rows_with_different_values_share_a_counter(store: Store) -> None:
    answer = await store.call(1, [row("a", 2), row("a", 5)], (9, 1, 1, 1), (9, 1, 2, 1))
    assert (answer.granted, answer.spent) == ([2, 3], [5, 5])


@pytest.mark.parametrize("start", [NOW - MINUTE, NOW + MINUTE])
async def test_nothing_is_granted_from_a_window_that_does_not_hold_now(store: Store, start: int) -> None:
    answer = await store.call(1, [row("a", 5, start=start), row("b", 5)], (1, 2, 1, 1, 2, 1), (1, 1, 2, 1))
    assert answer == Answer(MONDAY, [None, 1], [0, 1])
    assert await store.spent("a") == 0


async def test_what_was_spent_in_a_window_that_has_ended_is_still_reported(store: Store) -> None:
    await store.call(1, [row("a", 5, report=4, bins="80=4 100=5", start=NOW - MINUTE)])
    assert await store.spent("a") == 4
    assert await store.redis.xlen(f"{store.prefix}:outbox") == 1


async def test_the_latest_time_seen_by_a_caller_holds(store: Store) -> None:
    assert (await store.call(1, [], seen=NOW)).now == MONDAY
    assert (await store.call(2, [], seen=0)).now < MONDAY


async def test_a_report_may_pass_the_limit_and_stops_at_2_to_the_53(store: Store) -> None:
    answer = await store.call(1, [row("a", 5, report=2**53 - 1)], (1, 1, 1, 1))
    assert (answer.spent, answer.granted) == ([2**53 - 1], [0])
    assert (await store.call(2, [row("a", 5, report=9)])).spent == [2**53]


@pytest.mark.parametrize(("room", "cost"), [(2**53 - 1, 3), (2**53, 7), (2**53 - 2, 2**26 + 1)])
async def test_division_near_2_to_the_53_grants_no_unit_too_many(store: Store, room: int, cost: int) -> None:
    answer = await store.call(1, [row("a", room)], (2**53, 1, 1, cost))
    assert answer.granted == [room // cost]
    assert answer.spent == [room // cost * cost]


async def test_an_error_leaves_nothing_half_done(store: Store) -> None:
    await store.redis.set(f"{store.prefix}:outbox", "not a stream")
    with pytest.raises(ResponseError, match="WRONGTYPE"):
        await store.call(1, [row("a", 5, bins="80=4"), row("b", 5)], (5, 2, 1, 1, 2, 1))
    assert await store.spent("a") == await store.spent("b") == 0
    await store.redis.delete(f"{store.prefix}:outbox")
    assert (await store.call(1, [row("a", 5, bins="80=4")], (5, 1, 1, 1))).granted == [5]
