"""What a later version adds to a counter, of the same protocol, stays through all that this one does to it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest
from rigs.books import Books, Note, Row, books_at

from gateway.quota.census import Units

from .test_adjust_script import adjust
from .test_restore_script import Saved, restore

pytestmark = pytest.mark.redis

LATER = " +later=7"


@pytest.fixture
async def books(urls: Callable[[str], str]) -> AsyncIterator[Books]:
    """In epoch 9, after epoch 7 was lost, with a counter of epoch 7."""
    async with books_at(urls("redis")) as books:
        await books.redis.set(books.key("a"), "30 2 0 7 5 80" + LATER)
        await books.open_epoch(9)
        yield books


async def test_a_request_that_is_granted(books: Books) -> None:
    assert (await books.call(1, [Row("a", 40)], (1, 1, 1, 1))).granted == [1]
    assert await books.counter("a") == "31 2 0 9 6 80 7 5 30 2" + LATER
    assert (await books.call(2, [Row("a", 40)], (1, 1, 1, 1))).granted == [1]
    assert await books.counter("a") == "32 2 0 9 7 80 7 5 30 2" + LATER


async def test_what_processes_remember_of_it(books: Books) -> None:
    assert await books.publish(Note("a", 7, 6, 31, 4)) == 1
    assert await books.counter("a") == "31 4 0 7 6 80" + LATER
    await books.call(1, [Row("a", 40)], (1, 1, 1, 1))
    assert await books.publish(Note("a", 7, 8, 33, 4)) == 1
    assert await books.counter("a") == "34 4 0 9 8 80 7 8 33 4" + LATER


async def test_a_back_up_that_is_put_back(books: Books) -> None:
    assert await restore(books, Saved("a", 7, 6, spent=33)) == 1
    assert await books.counter("a") == "33 2 0 9 6 80 7 6 33 2" + LATER


async def test_what_an_operator_changes(books: Books) -> None:
    assert await adjust(books, "a", add=3) == ["30 2 0 30 2 3"]
    assert await books.counter("a") == "30 2 3 9 6 80 7 5 30 2" + LATER


async def test_a_counter_without_bins_or_base(books: Books) -> None:
    await books.redis.set(books.key("a"), "30 2 0 9 5 " + LATER)
    await books.call(1, [Row("a", 40)], (1, 1, 1, 1))
    assert await books.counter("a") == "31 2 0 9 6 " + LATER


async def test_it_is_read_beside_it() -> None:
    assert Units.parse(b"30 2 0 7 5 80" + LATER.encode()) == (30, 2, 0, 7, 5, (80,))
    assert Units.parse(b"30 2 0 9 5  +later=7") == (30, 2, 0, 9, 5, ())
