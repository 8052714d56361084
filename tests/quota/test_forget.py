"""What the store remembers of calls is dropped when nobody will ask for it, and not before."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from redis.asyncio import Redis
from rigs.books import Books, Row, books_at
from rigs.ledgers import ask, client, gateway, lease, until_granted, yearly
from rigs.waiting import until

from gateway.model import Address, Charge
from gateway.quota import forget
from gateway.quota.errands import Errand
from gateway.quota.forget import FORGET, MOST, Forgetting
from gateway.quota.scopes import Scope
from gateway.store.connection import Dialer, fixed
from gateway.store.node import Node

pytestmark = pytest.mark.redis

LIMIT = yearly(1_000)


async def last_calls(redis: Redis) -> list[str]:
    return [key async for key in redis.scan_iter("here:*:~*")]


async def test_the_last_call_about_an_idle_application_is_forgotten(
    urls: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forget, "EVERY", 0.1)
    async with gateway(urls("redis"), look=0.02, prefix="here") as ledger, client(urls("redis")) as redis:
        await until_granted(ledger, Charge(LIMIT, 1), scope="mobile")
        await until_granted(ledger, Charge(LIMIT, 1), scope="tablet")
        assert len(await last_calls(redis)) == 2
        await until(lambda: none_of(redis))
        assert await spent(redis) == 1
        await until_granted(ledger, Charge(LIMIT, 1))  # and is remembered again
        assert len(await last_calls(redis)) == 1
        assert await spent(redis) == 2


async def spent(redis: Redis) -> int:
    (counter,) = [key async for key in redis.scan_iter("here:{mobile}:gold:*")]
    return int((await redis.get(counter)).split()[0])


async def none_of(redis: Redis) -> bool:
    return await last_calls(redis) == []


async def test_while_units_are_in_hand_it_is_remembered(
    urls: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forget, "EVERY", 0.0)
    async with gateway(urls("redis"), look=0.02, prefix="here") as ledger, client(urls("redis")) as redis:
        claim = await lease(ledger, LIMIT)
        there = await last_calls(redis)
        for _ in range(20):
            await ask(ledger, claim)
            assert await last_calls(redis) == there != []


# --- the script -------------------------------------------------------------------------------------------


@pytest.fixture(params=["redis", "valkey"])
async def books(request: pytest.FixtureRequest, urls: Callable[[str], str]) -> AsyncIterator[Books]:
    async with books_at(urls(request.param)) as books:
        yield books


async def drop(books: Books, number: int) -> Any:
    (answer,) = await FORGET.run(books.link, [(1, books.key("~p"), 0, number)], 5)
    return answer


async def test_one_that_a_later_call_has_replaced_stays(books: Books) -> None:
    """A copy of this may arrive late, when the scope is in use again."""
    await books.call(4, [Row("a", 10)], (1, 1, 1, 1))
    await books.call(5, [Row("a", 10)], (1, 1, 1, 1))
    await drop(books, 4)
    assert await books.redis.exists(books.key("~p"))
    assert (await books.call(5, [Row("a", 10)], (1, 1, 1, 1))).granted == [1]  # as it was answered before
    assert await books.units("a") == (2, 0)


async def test_what_is_not_there_any_more_is_no_error(books: Books) -> None:
    await books.call(4, [Row("a", 10)], (1, 1, 1, 1))
    await drop(books, 4)
    seconds, micro = await books.redis.time()
    assert int(await drop(books, 4)) == pytest.approx(seconds * 1_000_000 + micro, abs=1_000_000)
    assert not await books.redis.exists(books.key("~p"))


# --- which, and when --------------------------------------------------------------------------------------


class Paper:
    """Nodes on paper, and what they were sent."""

    def __init__(self, *tags: str) -> None:
        self.nodes = [Node(tag, Dialer(type(None), {"find": fixed(Address("", 0))})) for tag in tags]  # type: ignore[arg-type]
        for node, tag in zip(self.nodes, tags, strict=True):
            node.tag = tag
        self.sent: list[tuple[str, int]] = []  # to whom, and how many keys
        self.forgetting = Forgetting()

    def note(self, *names: str, local: float = 100.0, sure: float = 0.0) -> None:
        for name in names:
            scope = Scope("gw", "p", name)
            scope.last, scope.sure = 7, sure
            self.forgetting.note(scope, local)

    def tell(self, local: float) -> list[tuple[str, int]]:
        def send(tag: str, errand: Errand) -> bool:
            self.sent.append((tag, int(errand.command(0.0, None, "")[0])))  # type: ignore[arg-type]
            return True

        self.forgetting.tell(local, lambda tag: self.nodes[len(tag) % len(self.nodes)], send)
        sent, self.sent = self.sent, []
        return sent


def test_one_call_is_for_many_scopes() -> None:
    paper = Paper("")
    paper.note(*(f"app-{number}" for number in range(3)))
    assert paper.tell(100.0) == [("app-0", 3)]
    assert paper.tell(200.0) == []


def test_it_waits_for_more_unless_they_are_many() -> None:
    paper = Paper("")
    paper.note("a")
    paper.tell(100.0)
    paper.note("b")
    assert paper.tell(100.0 + forget.EVERY / 2) == []
    paper.note(*(f"app-{number}" for number in range(MOST)))
    assert sorted(keys for _, keys in paper.tell(100.0 + forget.EVERY / 2)) == [1, MOST]


def test_in_a_cluster_each_scope_has_its_own() -> None:
    paper = Paper("x", "y")
    paper.note("a", "bb", "c")
    assert sorted(paper.tell(100.0)) == [("a", 1), ("bb", 1), ("c", 1)]


def test_a_call_that_may_be_on_its_way_twice_is_left_to_its_end() -> None:
    """Its copy may arrive late: the store then answers as before, or refuses it, by what it remembers."""
    paper = Paper("")
    paper.note("a", sure=101.0)
    assert paper.tell(200.0) == []
