"""Real workers: started together, replaced, given another configuration, ended."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from rigs.waiting import until

from gateway.control import Message
from gateway.model import Accept, Address, ClientTls, Config, KeyPlace, Rule, Service, Store, Target, Upstream
from gateway.process import crew as module
from gateway.process.crew import Crew, Hooks
from gateway.process.listeners import address_of, open_listeners
from gateway.quota.page import page_file
from gateway.workers import Worker, WorkerError

CONFIG = Config(store=Store(kind="memory"))
KEYS = Accept(api_key=KeyPlace("header", "x-api-key"))


def serving(name: str, tls: ClientTls | None = None) -> Config:
    """One service, for which a request lacks credentials: 401, elsewhere 404."""
    upstream = Upstream(name=name, targets=(Target(tls is not None, "127.0.0.1", 9),), tls=tls or ClientTls())
    rules = (Rule(method="ANY", pattern="/", usage={"hits": 1}),)
    service = Service(name=name, path=f"/{name}", upstream=upstream, accept=(KEYS,), rules=rules)
    return replace(CONFIG, services={name: service})


@dataclass
class Crowd:
    """A crew, and what it said to those around it."""

    crew: Any = None
    address: Address = Address("", 0)
    ended: list[tuple[int, bool]] = field(default_factory=list)
    settled: list[Worker] = field(default_factory=list)
    heard: list[Message] = field(default_factory=list)

    @property
    def workers(self) -> list[Worker]:
        return [self.crew._workers[slot] for slot in sorted(self.crew._workers)]

    async def settle(self, worker: Worker) -> None:
        os.close(worker.page)
        self.settled.append(worker)

    async def status(self, path: str) -> int:
        """The answer's on a new connection."""
        reader, writer = await asyncio.open_connection(*self.address)
        writer.write(b"GET %b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" % path.encode())
        answer = await asyncio.wait_for(reader.read(), 10)
        writer.close()
        return int(answer[9:12])

    async def statuses(self, path: str) -> set[int]:
        """By every worker."""
        return set(await asyncio.gather(*(self.status(path) for _ in range(16))))


@contextlib.asynccontextmanager
async def crowd_of(
    workers: int, config: Config = CONFIG, *, begun: bool = False, later: Config | None = None, in_vain: bool = False
) -> AsyncIterator[Crowd]:
    crowd = Crowd()

    def hear(_: Worker, message: Message) -> None:
        crowd.heard.append(message)

    def ended(worker: Worker, replaced: bool) -> None:
        crowd.ended.append((worker.slot, replaced))

    shares = open_listeners((Address("127.0.0.1", 0),), workers)
    crowd.address = address_of(shares[0][0])
    crowd.crew = Crew(config, shares, Hooks(page=page_file, hear=hear, ended=ended, settle=crowd.settle))
    try:
        if begun:
            await crowd.crew.begin()
        if in_vain:
            raise KeyboardInterrupt
        await crowd.crew.start(later)
        yield crowd
    finally:
        await crowd.crew.stop(10)
        for sock in {sock for share in shares for sock in share}:
            sock.close()


async def test_all_serve_and_each_end_is_told_and_settled() -> None:
    async with crowd_of(2) as crowd:
        assert await crowd.statuses("/") == {404}
        assert len(await crowd.crew.ask()) == 2
        assert {message["kind"] for message in crowd.heard} == {"metrics"}
    assert sorted(crowd.ended) == [(0, False), (1, False)]
    assert {worker.slot for worker in crowd.settled} == {0, 1}


async def test_processes_may_begin_before_there_is_a_configuration_for_them() -> None:
    async with crowd_of(2, begun=True, later=serving("orders")) as crowd:
        assert await crowd.statuses("/orders") == {401}
    assert {worker.slot for worker in crowd.settled} == {0, 1}


async def test_processes_that_began_in_vain_end(caplog: pytest.LogCaptureFixture) -> None:
    with contextlib.suppress(KeyboardInterrupt):
        async with crowd_of(2, begun=True, in_vain=True):
            raise AssertionError
    assert [child for child in psutil.Process().children() if "gateway.app" in child.cmdline()] == []
    assert caplog.messages == []


async def test_where_one_does_not_start_none_stays(tmp_path: Path) -> None:
    broken = serving("orders", ClientTls(ca=tmp_path / "none.pem"))
    with pytest.raises(WorkerError, match="the worker ended at its start"):
        async with crowd_of(2, broken):
            raise AssertionError
    assert [child for child in psutil.Process().children() if "gateway.app" in child.cmdline()] == []


async def test_while_one_is_replaced_another_serves_who_connects_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RESTART_MOST", 2.0)
    monkeypatch.setattr(module, "RESTART", 2.0)
    async with crowd_of(2) as crowd:
        dead = crowd.workers[0]
        dead.signal(signal.SIGKILL)
        await until(lambda: crowd.ended)
        assert await crowd.statuses("/") == {404}
        assert [worker.slot for worker in crowd.crew.serving()] == [1]  # still
        await until(lambda: len(crowd.crew.serving()) == 2)
        assert await crowd.statuses("/") == {404}
        assert crowd.ended == [(0, True)]
        assert crowd.settled == [dead]


async def test_one_that_hangs_is_killed_and_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in {"LOOK": 0.1, "SILENT": 1.5, "PATIENCE": 0.2}.items():
        monkeypatch.setattr(module, name, seconds)
    async with crowd_of(1) as crowd:
        crowd.workers[0].signal(signal.SIGSTOP)
        await until(lambda: crowd.ended)
        assert await crowd.status("/") == 404  # it has waited


# --- another configuration


async def test_all_take_another_configuration() -> None:
    async with crowd_of(2, serving("orders")) as crowd:
        assert (await crowd.statuses("/orders"), await crowd.statuses("/stock")) == ({401}, {404})
        pids = [worker.pid for worker in crowd.workers]
        await crowd.crew.reload(serving("stock"))
        assert (await crowd.statuses("/orders"), await crowd.statuses("/stock")) == ({404}, {401})
        assert [worker.pid for worker in crowd.workers] == pids


async def test_what_one_cannot_take_none_takes(tmp_path: Path) -> None:
    async with crowd_of(2, serving("orders")) as crowd:
        with pytest.raises(WorkerError, match=r"worker . \(process .*\): FileNotFoundError: .*none\.pem"):
            await crowd.crew.reload(serving("stock", ClientTls(ca=tmp_path / "none.pem")))
        assert await crowd.statuses("/orders") == {401}


async def test_one_that_is_replaced_starts_with_what_the_others_have() -> None:
    async with crowd_of(2, serving("orders")) as crowd:
        crowd.workers[1].signal(signal.SIGKILL)
        await until(lambda: crowd.ended)
        await crowd.crew.reload(serving("stock"))
        await until(lambda: len(crowd.crew.serving()) == 2)
        await until(lambda: all(worker.config.services.keys() == {"stock"} for worker in crowd.workers))
        assert await crowd.statuses("/stock") == {401}
