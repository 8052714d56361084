"""consume.lua by itself: where the store may have forgotten something, and where something is wrong in it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest
from redis.exceptions import ResponseError
from rigs.books import NOW, Books, Row, books_at

pytestmark = pytest.mark.redis


@pytest.fixture(params=["redis", "valkey"])
async def books(request: pytest.FixtureRequest, urls: Callable[[str], str]) -> AsyncIterator[Books]:
    async with books_at(urls(request.param)) as books:
        yield books


async def test_nothing_is_done_for_who_knows_another_epoch_or_run(books: Books) -> None:
    for known in ((6, "r"), (7, "s")):
        books.fence.epoch, books.fence.run = known
        with pytest.raises(ResponseError, match="EPOCH"):
            await books.call(1, [Row("a", 5)], (1, 1, 1, 1))
    await books.redis.delete(books.fence.key)
    books.fence.epoch, books.fence.run = 7, "r"
    with pytest.raises(ResponseError, match="EPOCH"):
        await books.call(1, [Row("a", 5)], (1, 1, 1, 1))
    assert await books.counter("a") is None


async def test_nothing_is_done_while_the_fence_is_closed(books: Books) -> None:
    await books.open_epoch(8, opens=NOW + 1)
    with pytest.raises(ResponseError, match="FENCED"):
        await books.call(1, [Row("a", 5, apart=1)], (1, 1, 1, 1))
    assert await books.counter("a") is None
    assert (await books.call(1, [Row("a", 5)], (1, 1, 1, 1), seen=NOW + 1)).granted == [1]


async def test_the_first_change_in_an_epoch_keeps_what_was_before_as_the_base(books: Books) -> None:
    await books.call(1, [Row("a", 10, want=2)], (3, 1, 1, 1))
    await books.open_epoch(8)
    await books.call(2, [Row("a", 10)])  # nothing changes
    assert await books.counter("a") == "3 2 0 7 1 "
    await books.call(3, [Row("a", 10)], (1, 1, 1, 1))
    assert await books.counter("a") == "4 2 0 8 2  7 1 3 2"  # … and the base: epoch, version, spent, held
    await books.call(4, [Row("a", 10)], (1, 1, 1, 1))
    assert await books.counter("a") == "5 2 0 8 3  7 1 3 2"


async def test_an_epoch_of_which_nothing_is_lost_needs_no_base(books: Books) -> None:
    await books.call(1, [Row("a", 10)], (3, 1, 1, 1))
    await books.open_epoch(8, intact="7,")
    await books.call(2, [Row("a", 10)], (1, 1, 1, 1))
    assert await books.counter("a") == "4 0 0 8 2 "


# --- what is wrong ----------------------------------------------------------------------------------------------


async def test_an_error_leaves_nothing_half_done(books: Books) -> None:
    await books.redis.set(f"{books.prefix}:outbox", "not a stream")
    with pytest.raises(ResponseError, match="WRONGTYPE"):
        await books.call(1, [Row("a", 5, bins="80=4"), Row("b", 5)], (5, 2, 1, 1, 2, 1))
    assert await books.units("a") == await books.units("b") == (0, 0)
    await books.redis.delete(f"{books.prefix}:outbox")
    assert (await books.call(1, [Row("a", 5, bins="80=4")], (5, 1, 1, 1))).granted == [5]


@pytest.mark.parametrize("rubbish", ["", "rubbish", "1 2", "-1 0 0 7 1 ", "1.5 0 0 7 1 "])
async def test_what_is_no_counter_is_never_taken_for_an_empty_one(books: Books, rubbish: str) -> None:
    await books.redis.set(books.key("b"), rubbish)
    with pytest.raises(ResponseError, match=r"CORRUPT .*:b is not a counter"):
        await books.call(1, [Row("a", 5), Row("b", 5)], (1, 2, 1, 1, 2, 1))
    assert await books.counter("a") is None
