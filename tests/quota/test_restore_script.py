"""restore.lua by itself: what a back-up does to a counter, by what the store has lost since."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from typing import NamedTuple

import pytest
from redis.exceptions import ResponseError
from rigs.books import NOW, Books, Note, Row, books_at

from gateway.quota.restore import RESTORE

pytestmark = pytest.mark.redis


class Saved(NamedTuple):
    """A counter in a back-up, as restore.lua takes it."""

    counter: str
    epoch: int
    version: int
    spent: int
    topped: int = 0
    raised: str = ""
    drop: int | str = NOW // 1_000_000 + 3600


async def restore(books: Books, *saved: Saved, replace: bool = False) -> int:
    """How many counters were changed."""
    names = [books.key(row.counter) for row in saved]
    words = [word for row in saved for word in row[1:]]
    await books.link.open(5)
    call = (len(names), *names, books.fence.key, books.fence.here, int(replace), *words)
    (answer,) = await RESTORE.run(books.link, [call], 5)
    if isinstance(answer, ResponseError):
        raise answer
    return int(answer)


@pytest.fixture(params=["redis", "valkey"])
async def books(request: pytest.FixtureRequest, urls: Callable[[str], str]) -> AsyncIterator[Books]:
    """In epoch 9, after epoch 7 was lost."""
    async with books_at(urls(request.param)) as books:
        await books.open_epoch(9)
        yield books


async def test_a_lost_counter_is_as_it_was_saved(books: Books) -> None:
    assert await restore(books, Saved("a", 7, 5, spent=30, topped=2, raised="80")) == 1
    assert await books.counter("a") == "30 0 2 9 1 80 7 5 30 0"
    assert await books.redis.expiretime(books.key("a")) == NOW // 1_000_000 + 3600


async def test_a_counter_without_end_stays_for_ever(books: Books) -> None:
    assert await restore(books, Saved("a", 7, 5, spent=30, drop="")) == 1
    assert await books.redis.ttl(books.key("a")) == -1


async def test_what_was_added_since_the_loss_comes_on_top_once(books: Books) -> None:
    await books.call(1, [Row("a", 100)], (10, 1, 1, 1))
    assert await restore(books, Saved("a", 7, 5, spent=30)) == 1
    assert await books.units("a") == (40, 0)
    assert await restore(books, Saved("a", 7, 5, spent=30)) == 0
    assert await books.units("a") == (40, 0)


async def test_of_two_back_ups_the_later_counts(books: Books) -> None:
    await books.call(1, [Row("a", 100)], (10, 1, 1, 1))
    early, late = Saved("a", 7, 5, spent=30), Saved("a", 7, 8, spent=33)
    assert [await restore(books, saved) for saved in (early, late, early)] == [1, 1, 0]
    assert await books.units("a") == (43, 0)


async def test_what_gateways_remember_is_later_than_the_back_up(books: Books) -> None:
    await books.publish(Note("a", 7, 8, spent=33, held=4))
    assert await restore(books, Saved("a", 7, 5, spent=30)) == 0
    assert await books.counter("a") == "33 4 0 7 8 "


async def test_a_gateway_that_tells_late_what_it_remembers_adds_only_what_is_news(books: Books) -> None:
    await restore(books, Saved("a", 7, 5, spent=30))
    await books.call(1, [Row("a", 100)], (10, 1, 1, 1))
    assert await books.publish(Note("a", 7, 4, spent=29)) == 0
    assert await books.publish(Note("a", 7, 6, spent=32, held=3)) == 1
    assert await books.units("a") == (42, 3)


async def test_a_store_that_has_lost_nothing_is_never_set_back(books: Books) -> None:
    await books.call(1, [Row("a", 100, want=5)], (40, 1, 1, 1))
    before = await books.counter("a")
    assert await restore(books, Saved("a", 9, 1, spent=30)) == 0
    assert await books.counter("a") == before


async def test_units_that_were_given_back_since_stay_so(books: Books) -> None:
    await books.call(1, [Row("a", 100)], (40, 1, 1, 1))
    saved = Saved("a", 9, 1, spent=40)
    await books.call(2, [Row("a", 100, used=-4, back=4)])
    assert await restore(books, saved) == 0
    assert await books.units("a") == (36, 0)


@pytest.mark.parametrize("intact", ["", "7,8,"])
async def test_a_counter_that_somebody_deleted_is_put_back(books: Books, intact: str) -> None:
    await books.open_epoch(9, intact=intact)
    assert await restore(books, Saved("a", 9 if not intact else 7, 5, spent=30)) == 1
    assert await books.counter("a") == "30 0 0 9 1 "


async def test_what_a_store_kept_of_the_last_epoch_is_not_added_to(books: Books) -> None:
    """It has lost the last second: 28 are of before, and the back-up's 30 of a little later."""
    await books.redis.set(books.key("a"), "28 4 0 7 5 80")
    await books.call(1, [Row("a", 100)], (10, 1, 1, 1))
    assert await restore(books, Saved("a", 7, 6, spent=30)) == 1
    assert await books.units("a") == (40, 4)


async def test_after_two_losses_a_counter_ends_up_no_lower_than_the_back_up(books: Books) -> None:
    await books.publish(Note("a", 8, 2, spent=3))  # of another life, in which little was counted
    assert await restore(books, Saved("a", 7, 5, spent=30)) == 1
    assert await books.units("a") == (30, 0)


async def test_units_in_hand_of_gateways_stay_theirs(books: Books) -> None:
    answer = await books.call(1, [Row("a", 100, want=40)])
    assert answer.states[0].ahead == 40
    await restore(books, Saved("a", 7, 5, spent=90))
    assert await books.units("a") == (90, 40)
    assert (await books.call(2, [Row("a", 100)], (5, 1, 1, 1))).granted == [0]
    assert (await books.call(3, [Row("a", 100, used=8, back=32)], (5, 1, 1, 1))).granted == [2]


async def test_an_alert_that_was_raised_is_not_raised_again(books: Books) -> None:
    await books.call(1, [Row("a", 10, bins="10=1")], (1, 1, 1, 1))
    await restore(books, Saved("a", 7, 5, spent=8, raised="50,80"))
    answer = await books.call(2, [Row("a", 10, bins="10=1 50=5 80=8 100=10")], (1, 1, 1, 1))
    assert answer.states[0].raised == "10,50,80,100"
    assert [json.loads(alert)["bin"] for alert in await books.alerts()] == [10, 100]


async def test_units_added_to_the_limit_are_put_back(books: Books) -> None:
    await restore(books, Saved("a", 7, 5, spent=10, topped=50))
    assert (await books.call(1, [Row("a", 10)], (60, 1, 1, 1))).granted == [50]


async def test_replacing_sets_a_counter_back_and_forgets_no_alert(books: Books) -> None:
    await books.call(1, [Row("a", 100, want=5, bins="30=30 40=40")], (40, 1, 1, 1))
    assert await restore(books, Saved("a", 9, 1, spent=30, topped=1, raised="30"), replace=True) == 1
    assert await books.counter("a") == "30 5 1 9 2 30,40"


async def test_replacing_adds_nothing(books: Books) -> None:
    await books.call(1, [Row("a", 100)], (10, 1, 1, 1))
    await restore(books, Saved("a", 7, 5, spent=30), replace=True)
    assert await books.units("a") == (30, 0)
    assert await books.publish(Note("a", 7, 5, spent=30)) == 0


async def test_all_counters_of_a_call_are_put_back_or_none(books: Books) -> None:
    await books.redis.set(books.key("b"), "rubbish")
    with pytest.raises(ResponseError, match="CORRUPT"):
        await restore(books, Saved("a", 7, 5, spent=30), Saved("b", 7, 5, spent=30))
    assert await books.counter("a") is None
    assert await books.counter("b") == "rubbish"


async def test_a_counter_that_is_dropped_by_now_stays_so(books: Books) -> None:
    assert await restore(books, Saved("a", 7, 5, spent=30, drop=1_000_000_000)) == 0
    assert await books.counter("a") is None


async def test_while_the_fence_is_closed_nothing_is_put_back(books: Books) -> None:
    """What gateways remember is later than the back-up, and comes first."""
    await books.open_epoch(10, opens=NOW)
    with pytest.raises(ResponseError, match="FENCED"):
        await restore(books, Saved("a", 7, 5, spent=30))


async def test_who_knows_another_epoch_is_told_so(books: Books) -> None:
    books.fence.epoch = 7
    with pytest.raises(ResponseError, match="EPOCH"):
        await restore(books, Saved("a", 7, 5, spent=30))


async def test_a_sum_stops_where_numbers_are_not_exact_any_more(books: Books) -> None:
    await books.call(1, [Row("a", 2**53)], (10, 1, 1, 1))
    await restore(books, Saved("a", 7, 5, spent=2**53 - 1))
    assert await books.units("a") == (2**53, 0)
