"""consume.lua by itself: what each part of a call does to the books, one rule an example."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable

import pytest
from redis.exceptions import ResponseError
from rigs.books import MINUTE, NOW, Books, Row, books_at

from .conftest import MONDAY

pytestmark = pytest.mark.redis


@pytest.fixture(params=["redis", "valkey"])
async def books(request: pytest.FixtureRequest, urls: Callable[[str], str]) -> AsyncIterator[Books]:
    async with books_at(urls(request.param)) as books:
        yield books


# --- granting what waits -----------------------------------------------------------------------------


async def test_requests_are_granted_while_they_fit(books: Books) -> None:
    answer = await books.call(1, [Row("a", 10)], (4, 1, 1, 3))  # four requests that cost 3 of row 1
    assert answer.granted == [3]
    assert answer.states[0].direct == 9
    assert await books.counter("a") == "9 0 0 7 1 "  # spent, held, topped, epoch, version, bins raised


async def test_a_request_gets_all_of_its_counters_or_none(books: Books) -> None:
    answer = await books.call(1, [Row("a", 10), Row("b", 3)], (5, 2, 1, 2, 2, 1))
    assert answer.granted == [3]
    assert await books.units("a") == (6, 0)
    assert await books.units("b") == (3, 0)


async def test_shapes_are_granted_one_after_another(books: Books) -> None:
    rows = [Row("a", 10), Row("b", 3)]
    answer = await books.call(1, rows, (2, 2, 1, 4, 2, 1), (5, 1, 1, 1), (2, 2, 1, 1, 2, 1))
    assert answer.granted == [2, 2, 0]  # 8 of a and 2 of b, then the last 2 of a
    assert [state.spent for state in answer.states] == [10, 2]


async def test_rows_with_different_values_share_a_counter(books: Books) -> None:
    answer = await books.call(1, [Row("a", 2), Row("a", 5)], (9, 1, 1, 1), (9, 1, 2, 1))
    assert answer.granted == [2, 3]
    assert [(state.spent, state.direct) for state in answer.states] == [(5, 2), (5, 3)]


async def test_what_costs_nothing_is_granted_but_not_over_a_lowered_limit(books: Books) -> None:
    assert (await books.call(1, [Row("a", 5)], (5, 1, 1, 1))).granted == [5]
    assert (await books.call(2, [Row("a", 5)], (3, 1, 1, 0))).granted == [3]
    assert (await books.call(3, [Row("a", 4)], (3, 1, 1, 0))).granted == [0]


async def test_added_units_raise_the_limit(books: Books) -> None:
    await books.redis.set(books.key("a"), "5 0 2 7 3 ")
    assert (await books.call(1, [Row("a", 5)], (9, 1, 1, 1))).granted == [2]


@pytest.mark.parametrize(("room", "cost"), [(2**53 - 1, 3), (2**53, 7), (2**53 - 2, 2**26 + 1)])
async def test_division_near_2_to_the_53_grants_no_unit_too_many(books: Books, room: int, cost: int) -> None:
    answer = await books.call(1, [Row("a", room)], (2**53, 1, 1, cost))
    assert answer.granted == [room // cost]
    assert answer.states[0].spent == room // cost * cost


async def test_units_for_requests_that_need_other_scopes_too_are_leased(books: Books) -> None:
    """As many as fit, down to the last unit, and not spent yet."""
    answer = await books.call(1, [Row("a", 10, want=9)], (-4, 1, 1, 3), (1, 1, 1, 1))
    assert answer.granted == [3, 1]
    assert (answer.states[0].direct, answer.states[0].ahead) == (1, 9)
    assert await books.units("a") == (1, 9)


# --- leasing ahead ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("processes", "ahead"), [(1, 40), (4, 10), (10, 4), (50, 0)])
async def test_what_is_leased_ahead_is_a_part_of_what_is_left(books: Books, processes: int, ahead: int) -> None:
    """Half of an equal share, so that others find something too: near the end there is nothing but what waits."""
    books.fence.processes = processes
    answer = await books.call(1, [Row("a", 100, want=1000)], (20, 1, 1, 1))
    assert (answer.granted, answer.states[0].ahead) == ([20], ahead)
    assert await books.units("a") == (20, ahead)


async def test_no_more_is_leased_than_was_wanted(books: Books) -> None:
    assert (await books.call(1, [Row("a", 100, want=7)])).states[0].ahead == 7


async def test_what_others_hold_is_neither_granted_nor_leased(books: Books) -> None:
    other = books.another("q")
    assert (await other.call(1, [Row("a", 10, want=9)])).states[0].ahead == 5
    answer = await books.call(1, [Row("a", 10, want=9)], (9, 1, 1, 1))
    assert (answer.granted, answer.states[0].ahead) == ([5], 0)
    assert await books.units("a") == (5, 5)
    await other.link.close()


# --- reports and returns --------------------------------------------------------------------------------


async def test_used_units_are_spent_and_returned_ones_are_free(books: Books) -> None:
    await books.call(1, [Row("a", 100, want=50)])
    assert await books.units("a") == (0, 50)
    await books.call(2, [Row("a", 100, used=30, back=15)])
    assert await books.units("a") == (30, 5)


async def test_a_call_returns_and_is_granted_of_it_at_once(books: Books) -> None:
    await books.call(1, [Row("a", 10, want=5)])
    assert (await books.call(2, [Row("a", 10, back=5)], (10, 1, 1, 1))).granted == [10]


async def test_granted_units_that_nobody_took_are_returned_as_negative_use(books: Books) -> None:
    """A waiting request was granted 3, which counts as spent, and had gone: they were never used, nor are held."""
    await books.call(1, [Row("a", 10)], (1, 1, 1, 3))
    assert await books.units("a") == (3, 0)
    await books.call(2, [Row("a", 10, used=-3, back=3)])
    assert await books.units("a") == (0, 0)


async def test_what_was_let_in_without_asking_is_spent_beside_what_is_held(books: Books) -> None:
    await books.call(1, [Row("a", 10, want=4)])
    await books.call(2, [Row("a", 10, apart=9)])
    assert await books.units("a") == (9, 4)
    assert (await books.call(3, [Row("a", 10)], (1, 1, 1, 1))).granted == [0]


async def test_what_came_out_of_what_is_never_leased_takes_nothing_from_the_rest(books: Books) -> None:
    """A gateway's local share: 10 units, beside 90 that the store hands out."""
    await books.call(1, [Row("a", 90, beside=4)])
    answer = await books.call(2, [Row("a", 90)], (100, 1, 1, 1))
    assert answer.granted == [90]
    assert (answer.states[0].spent, answer.states[0].topped) == (94, 4)


async def test_a_report_may_pass_the_limit_and_stops_at_2_to_the_53(books: Books) -> None:
    answer = await books.call(1, [Row("a", 5, apart=2**53 - 1)], (1, 1, 1, 1))
    assert (answer.states[0].spent, answer.granted) == (2**53 - 1, [0])
    assert (await books.call(2, [Row("a", 5, apart=9)])).states[0].spent == 2**53


# --- once -------------------------------------------------------------------------------------------------


async def test_the_same_number_is_done_once_and_answered_alike(books: Books) -> None:
    first = await books.call(7, [Row("a", 9, apart=1, want=2)], (4, 1, 1, 1))
    assert (first.granted, first.states[0].ahead) == ([4], 2)
    again = await books.call(7, [Row("a", 100, apart=1, want=2)], (4, 1, 1, 1), seen=NOW + MINUTE)
    assert again == first
    assert await books.units("a") == (5, 2)


async def test_a_number_that_was_overtaken_does_nothing(books: Books) -> None:
    await books.call(8, [Row("a", 5)], (1, 1, 1, 1))
    with pytest.raises(ResponseError, match="SUPERSEDED"):
        await books.call(7, [Row("a", 5)], (1, 1, 1, 1))
    assert await books.units("a") == (1, 0)


async def test_each_process_has_numbers_of_its_own(books: Books) -> None:
    other = books.another("q")
    await books.call(8, [Row("a", 5)], (1, 1, 1, 1))
    assert (await other.call(7, [Row("a", 5)], (1, 1, 1, 1))).granted == [1]
    await other.link.close()


async def test_who_settles_for_a_dead_process_hears_its_last_answer(books: Books) -> None:
    first = await books.call(3, [Row("a", 9)], (4, 1, 1, 1))
    settled = await books.call(4, [Row("a", 9, used=-1, back=1)], last=1)
    number, _, told = settled.last.partition(" ")
    assert (number, type(first).parse(told.encode())) == ("3", first)
    assert (await books.call(5, [], last=0)).last == ""


# --- time -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("start", [NOW - MINUTE, NOW + MINUTE])
async def test_nothing_is_granted_from_a_window_that_does_not_hold_now(books: Books, start: int) -> None:
    stale = Row("a", 5, want=3, start=start, end=start + MINUTE)
    answer = await books.call(1, [stale, Row("b", 5)], (1, 2, 1, 1, 2, 1), (1, 1, 2, 1))
    assert (answer.now, answer.granted, answer.states[0]) == (MONDAY, [0, 1], None)
    assert await books.counter("a") is None


async def test_what_happened_in_a_window_that_has_ended_is_still_reported(books: Books) -> None:
    await books.call(1, [Row("a", 5, want=2)])
    late = Row("a", 5, used=1, apart=3, back=1, bins="80=4 100=5")
    await books.call(2, [late], seen=NOW + MINUTE)
    assert await books.units("a") == (4, 0)
    assert len(await books.alerts()) == 1


async def test_the_latest_time_seen_by_a_caller_holds(books: Books) -> None:
    assert (await books.call(1, [], seen=NOW)).now == MONDAY
    assert (await books.call(2, [], seen=0)).now < MONDAY


async def test_eternity_has_no_end_and_is_kept_for_ever(books: Books) -> None:
    await books.call(1, [Row("a", 5, start=0, end="")], (1, 1, 1, 1))
    assert await books.redis.ttl(books.key("a")) == -1


async def test_counters_and_calls_are_dropped_in_time(books: Books) -> None:
    await books.call(1, [Row("a", 5)], (1, 1, 1, 1))
    assert await books.redis.expiretime(books.key("a")) == MONDAY + 60 + 3600
    assert 0 < await books.redis.ttl(books.key("~p")) <= 60


async def test_a_report_after_the_counter_was_dropped_brings_it_not_back(books: Books) -> None:
    await books.call(1, [Row("a", 5, apart=1, start=0, end=MINUTE)], seen=0)
    assert await books.counter("a") is None


# --- bins ---------------------------------------------------------------------------------------------------


async def test_a_bin_is_raised_once_and_never_early(books: Books) -> None:
    row = Row("a", 10, bins="80=8 100=10")
    raised = []
    for number in range(1, 6):
        await books.call(number, [row], (7 if number == 1 else 1, 1, 1, 1))
        raised.append(len(await books.alerts()))
    assert raised == [0, 1, 1, 2, 2]
    assert await books.counter("a") == "10 0 0 7 4 80,100"  # the last call changed nothing


async def test_an_alert_is_what_the_caller_said_and_what_the_store_counted(books: Books) -> None:
    await books.call(1, [Row("a", 10, bins="80=8")], (9, 1, 1, 1))
    (alert,) = await books.alerts()
    assert json.loads(alert) == {"application": "s", "id": "x-80", "bin": 80, "spent": 9, "raised_at": MONDAY}


async def test_what_is_only_held_raises_nothing(books: Books) -> None:
    await books.call(1, [Row("a", 10, want=5, bins="10=1")])
    assert await books.alerts() == []
    await books.call(2, [Row("a", 10, used=1, bins="10=1")])
    assert len(await books.alerts()) == 1


async def test_a_refusal_raises_what_a_lower_limit_has_reached(books: Books) -> None:
    await books.call(1, [Row("a", 10, bins="100=10")], (8, 1, 1, 1))
    await books.call(2, [Row("a", 5, bins="100=5")], (1, 1, 1, 1))
    assert len(await books.alerts()) == 1
