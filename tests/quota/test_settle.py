"""Settling for a process that died, while answers are lost on the way: nothing is given back twice."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from rigs.mortal import KEPT, Diary, Mortal, final_words

from gateway.quota import settle
from gateway.quota.calls import REMEMBERED
from gateway.quota.clock import boottime
from gateway.quota.page import page_file
from gateway.quota.settle import Settler
from gateway.store.script import Command
from gateway.store.topology import Link, Node

pytestmark = pytest.mark.redis


class Lossy:
    """A topology of one node where what is sent in the rounds `lost` is done, and its answer is lost."""

    def __init__(self, node: Node, lost: set[int]) -> None:
        self.name, self.tag = node.name, node.tag
        self.rounds = 0
        self._node = node
        self._lost = lost

    def node(self, tag: str) -> Any:
        return self

    async def refresh(self) -> bool:
        return True

    def link(self) -> Any:
        return LossyLink(self, self._node.link())

    async def exchange(self, link: Link, commands: Sequence[Command], patience: float) -> list[Any]:
        answers = await link.exchange(commands, patience)
        self.rounds += 1
        if self.rounds in self._lost:
            await link.close()
            raise ConnectionError
        return answers


class LossyLink:
    def __init__(self, lossy: Lossy, link: Link) -> None:
        self._lossy = lossy
        self._link = link
        self.open, self.close = link.open, link.close

    async def exchange(self, commands: Sequence[Command], patience: float) -> list[Any]:
        return await self._lossy.exchange(self._link, commands, patience)


class Dead:
    """A process that was killed with units in hand, and reports to make."""

    seeds = count()

    def __init__(self, url: str, diary: Path) -> None:
        self.mortal = Mortal(url, f"dead{next(self.seeds)}-{os.getpid()}", 16)
        self._url = url
        self._diary = diary
        self.fd = page_file()

    async def live(self) -> Diary:
        await self.mortal.learn()
        diary = self.mortal.live_and_die(self.fd, 40_000, self._diary)
        with Redis.from_url(self._url) as redis:
            final_words(redis, self.mortal.name)
        return diary

    def held(self) -> int:
        with Redis.from_url(self._url) as redis:
            return sum(self.mortal.units(redis, name)[1] for name in KEPT)

    def spent(self, name: str) -> int:
        with Redis.from_url(self._url) as redis:
            return self.mortal.units(redis, name)[0]


@pytest.fixture
def dead(urls: Callable[[str], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Dead]:
    monkeypatch.setattr(settle, "AGAIN", 0.01)
    dead = Dead(urls("valkey"), tmp_path / "diary")
    yield dead
    os.close(dead.fd)


def is_settled(dead: Dead, diary: Diary) -> bool:
    return dead.held() == 0 and all(diary.allows(name, dead.spent(name)) for name in KEPT)


@pytest.mark.parametrize("lost", [set(), {1}, {2}, {3}, {1, 2, 4}, {2, 4, 6}, {3, 5}])
async def test_it_is_settled_once_however_many_answers_are_lost(dead: Dead, lost: set[int]) -> None:
    diary = await dead.live()
    assert dead.held() > 0
    lossy = Lossy(dead.mortal.topology.nodes[0], lost)
    await Settler(lossy, prefix=dead.mortal.name, fence=0).settle(dead.fd)  # type: ignore[arg-type]
    assert is_settled(dead, diary)


@pytest.mark.parametrize("forgotten", ["call", "epoch"])
async def test_what_may_be_forgotten_is_not_done_again(
    dead: Dead, urls: Callable[[str], str], forgotten: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The report was done and not answered, and the store was away for long, or lost data."""
    diary, late = await dead.live(), 0.0
    others = 1_000  # units that other processes hold
    redis = Redis.from_url(urls("valkey"))
    prefix = dead.mortal.name

    class Away(Lossy):
        async def refresh(self) -> bool:
            nonlocal late
            for key in redis.scan_iter(f"{prefix}:*gold*"):
                spent, held, *rest = redis.get(key).split(b" ")
                redis.set(key, b" ".join((spent, b"%d" % (int(held) + others), *rest)))
            if forgotten == "call":
                redis.delete(*redis.scan_iter(f"{prefix}:*~*"))
                late = REMEMBERED
            else:
                redis.delete(*redis.scan_iter(f"{prefix}:*~*"), f"{prefix}:epoch")
            return True

    away = Away(dead.mortal.topology.nodes[0], {3})
    settler = Settler(away, prefix=prefix, fence=0, clock=lambda: boottime() + late)  # type: ignore[arg-type]
    await settler.settle(dead.fd)
    assert dead.held() % others == 0
    assert dead.held() > 0
    assert diary.did
    assert "may stay held" in caplog.text
    redis.close()
