"""Time, processes and networks on paper."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from random import Random
from typing import Any

import pytest

from .paper.loop import DeadlockError, PaperLoop, Process
from .paper.network import Network, PaperLink, PaperNode, Weather
from .paper.server import PaperServer


@contextmanager
def paper() -> Iterator[PaperLoop]:
    loop = PaperLoop()
    try:
        yield loop
    finally:
        loop.close()


def test_an_hour_takes_no_time_and_ends_exactly() -> None:
    began = time.process_time()
    with paper() as loop:
        loop.run_until_complete(asyncio.sleep(3600))
        assert loop.time() == 3600
    assert time.process_time() - began < 1


def test_who_waits_for_nothing_is_told_so() -> None:
    with paper() as loop, pytest.raises(DeadlockError):
        loop.run_until_complete(loop.create_future())


def ticking(process: Process, loop: PaperLoop, ticks: list[float]) -> None:
    """The process notes its time each second."""

    async def tick() -> None:
        while True:
            await asyncio.sleep(1)
            ticks.append(process.clock())

    process.spawn(tick())


def test_a_killed_process_does_nothing_more() -> None:
    with paper() as loop:
        process, ticks = Process("one", loop), list[float]()
        ticking(process, loop, ticks)
        loop.run_until_complete(asyncio.sleep(3.5))
        process.kill()
        loop.run_until_complete(asyncio.sleep(10))
        assert ticks == [1, 2, 3]
        process.bury()


def test_a_paused_process_goes_on_where_it_was_and_its_clock_has_gone_on() -> None:
    with paper() as loop:
        process, ticks = Process("one", loop, booted=100.0), list[float]()
        ticking(process, loop, ticks)
        loop.run_until_complete(asyncio.sleep(1.5))
        process.pause()
        loop.run_until_complete(asyncio.sleep(10))
        process.resume()
        loop.run_until_complete(asyncio.sleep(1.9))
        assert ticks == [101, 111.5, 112.5]


class Line:
    """A process with a link to a server."""

    def __init__(self, loop: PaperLoop) -> None:
        self.loop = loop
        self.network = Network(loop, Random(1))
        self.server = PaperServer("store", loop, Random(2), loop.time)
        self.process = Process("one", loop)
        self.link: PaperLink = self.process.run(PaperNode("store", "", self.server, self.network).link)

    def do(self, work: Any) -> Any:
        return self.loop.run_until_complete(self.process.spawn(work))

    def increment(self, patience: float = 1.0) -> Any:
        """The answer, or the exception instead of one."""
        try:
            self.do(self.link.open(patience))
            return self.do(self.link.exchange([("INCR", "a")], patience))[0]
        except OSError as error:
            return type(error)

    @property
    def count(self) -> int:
        return int(self.server.data.find(b"a") or 0)


@pytest.fixture
def line() -> Iterator[Line]:
    with paper() as loop:
        yield Line(loop)


def test_a_link_carries_commands_and_takes_a_while(line: Line) -> None:
    assert [line.increment(), line.increment()] == [1, 2]
    assert 0 < line.loop.time() < 0.01


def test_a_lost_request_is_never_done_and_a_lost_answer_is_done(line: Line) -> None:
    line.increment()
    line.network.weather = Weather(lost_requests=1)
    assert (line.increment(), line.count) == (TimeoutError, 1)
    line.network.weather = Weather(lost_answers=1)
    assert (line.increment(), line.count) == (TimeoutError, 2)


def test_a_late_request_is_done_after_its_sender_gave_up(line: Line) -> None:
    line.increment()
    line.network.weather = Weather(late=1, delay=30.0)
    assert (line.increment(), line.count) == (TimeoutError, 1)
    line.loop.run_until_complete(asyncio.sleep(30))
    assert line.count == 2


def test_a_cut_is_felt_at_once_and_may_deliver_late(line: Line) -> None:
    line.increment()
    line.network.cut("one", "store")
    assert [line.increment() for _ in range(8)] == [TimeoutError] * 8
    assert line.count == 1
    line.network.mend("one", "store")
    line.loop.run_until_complete(asyncio.sleep(1))
    assert line.count in {1, 2}  # one was sent over the open connection, the others never got one
    assert line.increment() == line.count


def test_a_stopped_server_does_later_what_it_was_sent(line: Line) -> None:
    line.increment()
    line.server.stop()
    assert (line.increment(), line.count) == (TimeoutError, 1)
    line.server.go()
    assert line.count == 2
    assert line.increment() == 3


def test_a_crash_breaks_connections_and_a_new_life_has_another_run_id(line: Line) -> None:
    run = line.do(line.link.open(1))
    line.server.crash()
    with suppress(OSError):
        line.do(line.link.exchange([("INCR", "a")], 1))
    assert line.increment() is ConnectionRefusedError
    line.server.restart()
    assert line.do(line.link.open(1)) != run


def test_a_machine_that_is_gone_does_not_even_refuse(line: Line) -> None:
    line.increment()
    line.server.crash(silent=True)
    assert [line.increment(), line.increment()] == [TimeoutError, TimeoutError]


def test_a_process_killed_while_it_waits_hears_nothing(line: Line) -> None:
    heard: list[Any] = []

    async def ask() -> None:
        await line.link.open(1)
        heard.append(await line.link.exchange([("INCR", "a")], 1))

    line.process.spawn(ask())
    while not line.count:
        line.loop.run_until_complete(asyncio.sleep(0.0001))
    line.process.kill()
    line.loop.run_until_complete(asyncio.sleep(5))
    assert heard == []
    line.process.bury()
