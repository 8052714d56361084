"""The page that outlives its process: cells by themselves, and a process killed at any of its instructions."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from redis import Redis
from rigs.mortal import KEPT, Diary, Mortal, final_words

from gateway.quota.page import (
    DONE,
    LEASED,
    SENT,
    TEXT,
    USED,
    WORDS,
    Entry,
    Legacy,
    Page,
    PageFullError,
    page_file,
    read_page,
)
from gateway.quota.settle import Settler


def entry(name: str, about: str = "") -> Entry:
    return Entry(name, (10, 0, 60, 3660), ("80=8", about))


@pytest.fixture
def page() -> Page:
    page = Page()
    yield page
    page.close()


# --- cells --------------------------------------------------------------------------------------------


def test_another_process_reads_what_is_in_a_page() -> None:
    fd = page_file()
    page = Page(fd)
    page.sign("p1")
    page.sign_number(17)
    first, second = page.take(entry("a")), page.take(entry("b"))
    page.words[first + LEASED] = 9
    page.words[first + USED] += 4
    page.words[second + SENT] = 17
    page.close()  # or its process was killed
    assert read_page(fd) == (
        "p1",
        17,
        [
            Legacy(entry("a"), 9, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0),
            Legacy(entry("b"), 0, 0, 0, 0, 0, 17, 0, 0, 0, 0, 0),
        ],
    )
    os.close(fd)


def test_a_cell_is_empty_when_it_is_taken_again() -> None:
    fd = page_file()
    page = Page(fd)
    place = page.take(entry("a"))
    page.words[place + USED] = 4
    page.words[place + DONE] = 3
    page.free(place)
    assert read_page(fd)[2] == []
    assert page.take(entry("b")) == place
    ((_, _, [left]), used) = (read_page(fd), page.words[place + USED])
    assert (left.entry, left.leased, used) == (entry("b"), 0, 0)
    page.close()
    os.close(fd)


def test_a_page_takes_only_the_memory_that_is_used() -> None:
    fd = page_file()
    page = Page(fd)
    page.sign("p")
    for name in range(100):
        page.take(entry(str(name)))
    assert os.fstat(fd).st_size > 400_000_000
    assert os.fstat(fd).st_blocks * 512 < 1_000_000
    assert len(read_page(fd)[2]) == 100  # found without reading the holes
    page.close()
    os.close(fd)


def test_a_page_may_be_full(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.quota.page.CELLS", 2)
    places = [page.take(entry("a")), page.take(entry("b"))]
    assert places == [0, WORDS]
    with pytest.raises(PageFullError):
        page.take(entry("c"))
    page.free(places[0])
    assert page.take(entry("c")) == places[0]


def test_what_does_not_fit_into_a_cell_has_none(page: Page) -> None:
    longest = TEXT - 2 - len(json.dumps(entry("a")))
    with pytest.raises(PageFullError):
        page.take(entry("a", "x" * (longest + 1)))
    assert page.take(entry("a", "x" * longest)) == 0


# --- death ----------------------------------------------------------------------------------------------


@pytest.mark.redis
@pytest.mark.parametrize("seed", range(60))
def test_a_process_killed_at_any_instruction_leaves_books_that_balance(
    urls: Callable[[str], str], tmp_path: Path, seed: int
) -> None:
    """Once it is settled for, all that it let in is spent, but for the request at which it died; nothing is held."""
    instructions = Random(seed).randrange(2_000, 60_000)
    mortal, diary = lived(urls("valkey"), f"page{seed}", seed, tmp_path / "diary", instructions)
    with Redis.from_url(urls("valkey")) as redis:
        for name in KEPT:
            spent, held = mortal.units(redis, name)
            assert diary.allows(name, spent)
            assert held == 0


@pytest.mark.redis
@pytest.mark.parametrize("seed", range(40))
def test_calls_that_were_given_up_leave_units_short_and_never_too_many(
    urls: Callable[[str], str], tmp_path: Path, seed: int
) -> None:
    """Some of its calls were never answered, done or not. It lives to the end, and is settled for."""
    mortal, diary = lived(urls("valkey"), f"void{seed}", seed, tmp_path / "diary", None)
    with Redis.from_url(urls("valkey")) as redis:
        for name in KEPT:
            spent, held = mortal.units(redis, name)
            let_in = diary.did.get(name, 0)
            assert let_in <= spent
            assert spent + held <= let_in + diary.lost.get(name, 0)


def lived(url: str, name: str, seed: int, diary: Path, instructions: int | None) -> tuple[Mortal, Diary]:
    """A process's life, and what it left settled for."""
    mortal = Mortal(url, f"{name}-{os.getpid()}", seed, gives_up=instructions is None)
    asyncio.run(mortal.learn())
    fd = page_file()
    wrote = mortal.live_and_die(fd, instructions, diary)
    with Redis.from_url(url) as redis:
        final_words(redis, mortal.name)
    asyncio.run(Settler(mortal.topology, prefix=mortal.name, fence=0).settle(fd))
    os.close(fd)
    return mortal, wrote
