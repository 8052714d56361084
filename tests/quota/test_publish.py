"""publish.lua by itself: how a counter comes back after the store forgot it, from what processes remember."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest
from redis.exceptions import ResponseError
from rigs.books import MINUTE, NOW, Books, Note, Row, books_at

pytestmark = pytest.mark.redis


@pytest.fixture(params=["redis", "valkey"])
async def books(request: pytest.FixtureRequest, urls: Callable[[str], str]) -> AsyncIterator[Books]:
    """In epoch 9, after epoch 7 was lost."""
    async with books_at(urls(request.param)) as books:
        await books.open_epoch(9)
        yield books


async def test_a_lost_counter_is_what_is_remembered_of_it(books: Books) -> None:
    assert await books.publish(Note("a", 7, 5, spent=30, held=4, topped=2, raised="80")) == 1
    assert await books.counter("a") == "30 4 2 7 5 80"
    assert await books.redis.expiretime(books.key("a")) == NOW // 1_000_000 + 3600


@pytest.mark.parametrize("order", [(4, 5), (5, 4)])
async def test_the_latest_memory_counts_in_whatever_order_they_come(books: Books, order: tuple[int, int]) -> None:
    states = {4: Note("a", 7, 4, spent=30, held=9), 5: Note("a", 7, 5, spent=39)}
    news = [await books.publish(states[version]) for version in order]
    assert news == [1, int(order == (4, 5))]
    assert await books.units("a") == (39, 0)


async def test_a_later_epoch_is_later_than_any_version_of_an_earlier(books: Books) -> None:
    await books.publish(Note("a", 7, 900, spent=30))
    assert await books.publish(Note("a", 8, 1, spent=40)) == 1
    assert await books.publish(Note("a", 7, 901, spent=90)) == 0
    assert await books.units("a") == (40, 0)


async def test_a_store_that_remembers_more_learns_nothing(books: Books) -> None:
    """Such as one that kept all but the last second: what it has is of the old epoch too."""
    await books.redis.set(books.key("a"), "30 4 0 7 5 ")
    assert await books.publish(Note("a", 7, 5, spent=30, held=4), Note("a", 7, 3, spent=20)) == 0
    assert await books.publish(Note("a", 7, 6, spent=33, held=1)) == 1
    assert await books.counter("a") == "33 1 0 7 6 "


async def test_a_late_memory_raises_the_base_and_keeps_what_was_added_since(books: Books) -> None:
    await books.publish(Note("a", 7, 5, spent=30, held=4))
    await books.call(1, [Row("a", 100, want=3)], (10, 1, 1, 1))
    assert await books.counter("a") == "40 7 0 9 6  7 5 30 4"
    assert await books.publish(Note("a", 7, 8, spent=33, held=2)) == 1
    assert await books.counter("a") == "43 5 0 9 7  7 8 33 2"
    assert await books.publish(Note("a", 7, 8, spent=33, held=2)) == 0  # told again


async def test_who_never_was_published_has_an_empty_base(books: Books) -> None:
    await books.call(1, [Row("a", 100)], (10, 1, 1, 1))
    assert await books.publish(Note("a", 7, 5, spent=30, held=4)) == 1
    assert await books.units("a") == (40, 4)


async def test_a_base_goes_through_a_second_loss(books: Books) -> None:
    await books.publish(Note("a", 7, 5, spent=30))
    await books.call(1, [Row("a", 100)], (10, 1, 1, 1))
    await books.redis.delete(books.key("a"))
    await books.open_epoch(11)
    await books.publish(Note("a", 7, 5, spent=30), Note("a", 9, 6, spent=40))
    assert await books.counter("a") == "40 0 0 9 6 "


async def test_units_given_back_meanwhile_never_make_a_counter_negative(books: Books) -> None:
    """Of the 5 of the base 4 were granted to requests that had gone; one process gave them back before the store was
    lost, which is told late, and another after it."""
    await books.publish(Note("a", 7, 5, spent=5))
    await books.call(1, [Row("a", 100, used=-4, back=4)])
    assert await books.publish(Note("a", 7, 6, spent=1)) == 1
    assert await books.units("a") == (0, 0)
    assert (await books.call(2, [Row("a", 100)], (1, 1, 1, 1))).granted == [1]


async def test_a_bin_that_anybody_knows_as_raised_is_not_raised_again(books: Books) -> None:
    await books.publish(Note("a", 7, 5, spent=8, raised="80"))
    await books.publish(Note("a", 7, 7, spent=9, raised="50,90"))
    answer = await books.call(1, [Row("a", 10, bins="50=5 80=8 90=9 100=10")], (1, 1, 1, 1))
    assert answer.states[0].raised == "80,50,90,100"
    assert len(await books.alerts()) == 1


async def test_units_added_to_the_limit_are_not_forgotten(books: Books) -> None:
    await books.publish(Note("a", 7, 5, spent=10, topped=50), Note("a", 7, 6, spent=10, topped=20))
    assert (await books.call(1, [Row("a", 10)], (60, 1, 1, 1))).granted == [50]


async def test_what_the_store_has_kept_it_is_not_told(books: Books) -> None:
    await books.open_epoch(9, intact="8,")
    assert await books.publish(Note("a", 9, 5, spent=30), Note("b", 8, 5, spent=30)) == 0
    assert await books.counter("a") is await books.counter("b") is None


async def test_a_counter_that_is_dropped_by_now_stays_so(books: Books) -> None:
    assert await books.publish(Note("a", 7, 5, spent=30, drop=1_000_000_000)) == 0
    assert await books.publish(Note("b", 7, 5, spent=30, drop="")) == 1
    assert await books.redis.ttl(books.key("b")) == -1


async def test_while_the_fence_is_closed_publications_are_taken(books: Books) -> None:
    await books.open_epoch(10, opens=NOW + MINUTE)
    assert await books.publish(Note("a", 7, 5, spent=30)) == 1


async def test_who_knows_another_epoch_is_told_so(books: Books) -> None:
    books.fence.epoch = 7
    with pytest.raises(ResponseError, match="EPOCH"):
        await books.publish(Note("a", 7, 5, spent=30))


async def test_what_is_no_counter_is_left_as_it_is(books: Books) -> None:
    await books.redis.set(books.key("a"), "rubbish")
    with pytest.raises(ResponseError, match="CORRUPT"):
        await books.publish(Note("a", 7, 5, spent=30))
    assert await books.counter("a") == "rubbish"


async def test_a_counter_that_survived_a_second_loss_is_its_own_base(books: Books) -> None:
    """Its data came back, under another run: what is remembered of it is no news, whatever its base was before."""
    await books.redis.set(books.key("a"), "165 0 0 5 92  3 25 50 5")  # of epoch 5, with a base from epoch 3
    assert await books.publish(Note("a", 5, 92, 165)) == 0
    assert await books.publish(Note("a", 5, 93, 170)) == 1
    assert await books.units("a") == (170, 0)
