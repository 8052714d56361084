"""adjust.lua by itself: what an operator may change of a counter, and what stays as it is."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest
from redis.exceptions import ResponseError
from rigs.books import NOW, Books, Note, Row, books_at

from gateway.quota.adjust import ADJUST

pytestmark = pytest.mark.redis

ALWAYS = (0, "", "")  # start, end, drop: eternity
FAR = NOW // 1_000_000 + 3600


async def adjust(
    books: Books, *counters: str, add: int = 0, reset: bool = False, row: tuple[int | str, ...] = ALWAYS
) -> list[str]:
    """Units of each counter, before and after."""
    names = [books.key(counter) for counter in counters]
    await books.link.open(5)
    call = (
        len(names),
        *names,
        books.fence.key,
        books.fence.here,
        add,
        int(reset),
        *(word for _ in names for word in row),
    )
    (answer,) = await ADJUST.run(books.link, [call], 5)
    if isinstance(answer, ResponseError):
        raise answer
    return [text.decode() for text in answer]


@pytest.fixture(params=["redis", "valkey"])
async def books(request: pytest.FixtureRequest, urls: Callable[[str], str]) -> AsyncIterator[Books]:
    """In epoch 9, after epoch 7 was lost."""
    async with books_at(urls(request.param)) as books:
        await books.open_epoch(9)
        yield books


async def test_units_are_added_to_what_may_be_used(books: Books) -> None:
    await books.call(1, [Row("a", 10)], (10, 1, 1, 1))
    assert await adjust(books, "a", add=3) == ["10 0 0 10 0 3"]
    assert (await books.call(2, [Row("a", 10)], (5, 1, 1, 1))).granted == [3]


async def test_they_may_be_added_before_anything_was_counted(books: Books) -> None:
    assert await adjust(books, "a", add=5, row=(0, NOW * 2, FAR)) == ["0 0 0 0 0 5"]
    assert await books.counter("a") == "0 0 5 9 1 "
    assert await books.redis.expiretime(books.key("a")) == FAR
    assert (await books.call(1, [Row("a", 10)], (20, 1, 1, 1))).granted == [15]


async def test_what_was_added_can_be_taken_back_and_no_more(books: Books) -> None:
    await adjust(books, "a", add=5)
    assert await adjust(books, "a", add=-4) == ["0 0 5 0 0 1"]
    with pytest.raises(ResponseError, match="RANGE 1 were added"):
        await adjust(books, "a", add=-2)
    with pytest.raises(ResponseError, match="RANGE"):
        await adjust(books, "a", add=2**53)
    assert await books.counter("a") == "0 0 1 9 2 "


async def test_a_reset_forgets_what_is_spent_and_nothing_else(books: Books) -> None:
    """Units in the hands of gateways are theirs: given away a second time, they would be used twice."""
    await books.call(1, [Row("a", 100, want=20, bins="50=50")], (60, 1, 1, 1))
    await adjust(books, "a", add=7)
    assert await adjust(books, "a", reset=True) == ["60 20 7 0 20 7"]
    assert await books.counter("a") == "0 20 7 9 3 50"
    assert (await books.call(2, [Row("a", 100)], (200, 1, 1, 1))).granted == [87]
    assert (await books.call(3, [Row("a", 100, used=15, back=5)], (200, 1, 1, 1))).granted == [5]


async def test_a_gateway_that_reports_after_a_reset_is_counted_from_there(books: Books) -> None:
    await books.call(1, [Row("a", 100, want=20)], (60, 1, 1, 1))
    await adjust(books, "a", reset=True)
    await books.call(2, [Row("a", 100, used=20)])
    assert await books.units("a") == (20, 0)


async def test_the_key_is_kept_as_long_as_before(books: Books) -> None:
    await books.call(1, [Row("a", 100)], (60, 1, 1, 1))
    await adjust(books, "a", reset=True, row=(0, NOW * 2, FAR))
    assert await books.redis.expiretime(books.key("a")) == FAR
    await adjust(books, "b", add=1)
    assert await books.redis.ttl(books.key("b")) == -1


async def test_all_counters_of_a_call_change_or_none(books: Books) -> None:
    assert await adjust(books, "a", "b", add=2) == ["0 0 0 0 0 2"] * 2
    await books.redis.set(books.key("b"), "rubbish")
    with pytest.raises(ResponseError, match="CORRUPT"):
        await adjust(books, "a", "b", add=2)
    assert await books.counter("a") == "0 0 2 9 1 "


async def test_after_a_loss_it_counts_as_what_was_added_since(books: Books) -> None:
    """What the store kept of epoch 7 is the base that later memories replace."""
    await books.redis.set(books.key("a"), "30 4 0 7 5 ")
    await adjust(books, "a", add=2)
    assert await books.counter("a") == "30 4 2 9 6  7 5 30 4"
    assert await books.publish(Note("a", 7, 6, spent=33, held=4)) == 1
    assert await books.counter("a") == "33 4 2 9 7  7 6 33 4"


async def test_what_is_intact_of_an_earlier_epoch_needs_no_base(books: Books) -> None:
    await books.open_epoch(9, intact="7,8,")
    await books.redis.set(books.key("a"), "30 4 0 7 5 ")
    await adjust(books, "a", reset=True)
    assert await books.counter("a") == "0 4 0 9 6 "


async def test_while_the_fence_is_closed_nothing_is_changed(books: Books) -> None:
    """A counter may be lower then than it will be."""
    await books.open_epoch(10, opens=NOW)
    with pytest.raises(ResponseError, match="FENCED"):
        await adjust(books, "a", add=1)


async def test_who_knows_another_epoch_is_told_so(books: Books) -> None:
    books.fence.epoch = 7
    with pytest.raises(ResponseError, match="EPOCH"):
        await adjust(books, "a", add=1)


@pytest.mark.parametrize("row", [(NOW, NOW * 2, FAR), (0, 1_000_000, FAR)])
async def test_a_window_that_is_not_open_is_refused(books: Books, row: tuple[int, ...]) -> None:
    with pytest.raises(ResponseError, match="WINDOW"):
        await adjust(books, "a", add=1, row=row)
    assert await books.counter("a") is None
