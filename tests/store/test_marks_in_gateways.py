"""Marks in gateways: how soon all processes know of one, and what a gateway saves of them."""

from __future__ import annotations

import asyncio
import json
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from rigs.shared import lines
from rigs.stores import Server, binary_of

from gateway.model import Store
from gateway.store import marks_file
from gateway.store.marks import DAY, Mark, MemoryMarks, Row
from gateway.store.shared import share
from gateway.store.store_marks import Seen, StoreMarks
from gateway.store.topology import topology

Known = dict[tuple[str, str], str]

pytestmark = pytest.mark.redis


def known(some: StoreMarks | MemoryMarks) -> Known:
    return {where: row.value for where, row in some.rows.items() if row.value is not None}


@pytest.fixture(params=["redis", "valkey"])
def forgetful(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    """A server without persistence, which a test may hurt."""
    server = Server(binary_of(request.param), tmp_path).start()
    yield server
    server.resume()
    server.close()


async def test_every_process_knows_within_a_second(forgetful: Server, tmp_path: Path) -> None:
    store = Store(kind="url", url=forgetful.url)
    async with AsyncExitStack() as stack:
        several = []
        for _ in range(8):
            servers = topology(store)
            stack.push_async_callback(servers.close)
            several.append((await share(stack, store, servers, tmp_path, lambda row: None)).marks)
        slowest = 0.0
        for number in range(5):
            await several[0].set("revoked", str(number))
            began = time.monotonic()
            while not all(some.get("revoked", str(number)) for some in several):
                await asyncio.sleep(0.005)
            slowest = max(slowest, time.monotonic() - began)
        print(f"8 processes knew of a mark after {slowest:.2f} s at most")
        assert slowest < 1.0


def in_memory(clock: Callable[[], float], peers: list[MemoryMarks]) -> MemoryMarks:
    return MemoryMarks(clock, lambda row: [peer.apply([Row(*json.loads(json.dumps(row)))]) for peer in peers])


async def test_without_a_store_the_processes_of_a_gateway_tell_each_other() -> None:
    now = 1_000.0
    peers: list[MemoryMarks] = []
    one, other = in_memory(lambda: now, peers), in_memory(lambda: now, peers)
    peers += [one, other]
    assert one.known
    await one.set("revoked", "a", "x")
    await other.set("revoked", "a", "y", until=now + 5)
    assert one.get("revoked", "a") == other.get("revoked", "a") == Mark("y", other.get("revoked", "a").since, 1_005.0)
    await one.clear("revoked", "a")
    assert other.get("revoked", "a") is None
    now += 2 * DAY
    one.sweep()
    assert one.rows == {}


async def test_a_gateway_begins_with_what_it_saved(tmp_path: Path) -> None:
    rows = [Row("revoked", "ä b", 5, "x", None), Row("revoked", "c", 6, None, 7.5)]
    marks_file.save(tmp_path / "data", Seen(1, 2, 3), rows)
    path = tmp_path / "data" / marks_file.NAME
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert marks_file.load(tmp_path / "data") == (Seen(1, 2, 3), rows)
    assert [entry.name for entry in path.parent.iterdir()] == [marks_file.NAME]
    server = Server(binary_of("redis"), tmp_path)
    store = Store(kind="url", url=server.url)
    async with AsyncExitStack() as stack:
        servers = topology(store)
        found = (await share(stack, store, servers, tmp_path / "data", lambda row: None)).marks
        assert found.known
        assert found.get("revoked", "ä b") is not None
        assert found.get("revoked", "c") is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"seen": [1, 2, 3]}', '{"seen": [1], "marks": {"a": "b"}}', "\x00"])
async def test_a_file_that_cannot_be_read_is_as_none(
    tmp_path: Path, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / marks_file.NAME).write_text(text)
    assert marks_file.load(tmp_path) is None
    assert "cannot be read, and is written anew" in caplog.text


def test_no_file_is_no_fault(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert marks_file.load(tmp_path) is None
    assert caplog.text == ""


async def test_a_process_has_few_connections(forgetful: Server) -> None:
    async with lines(Store(kind="url", url=forgetful.url)) as some:
        await asyncio.gather(*(some.at("a", lambda line: line.ask(("PING",))) for _ in range(100)))
        clients = str(forgetful.ask("CLIENT", "LIST")).strip().splitlines()
        assert len(clients) <= 8 + 1
