"""A gateway's marks: saved as they change, known at the next start, and in memory passed on between its processes."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rigs.shared import marks
from rigs.stores import Server, binary_of
from rigs.waiting import until

from gateway.model import Config, Store
from gateway.process.marks import MarksKeeper
from gateway.store import StoreAway
from gateway.store.marks_file import load


async def keeper(stack: AsyncExitStack, config: Config, told: list[Any] | None = None) -> MarksKeeper:
    found = MarksKeeper([].append if told is None else told.append)
    await found.start(stack, config)
    return found


def saved(config: Config) -> set[str]:
    found = load(config.data)
    return {row.name for row in found[1] if row.value is not None} if found else set()


async def test_in_memory_they_are_told_to_the_workers_and_saved(tmp_path: Path) -> None:
    config = Config(store=Store(kind="memory"), data=tmp_path / "data")
    told: list[Any] = []
    async with AsyncExitStack() as stack:
        one = await keeper(stack, config, told)
        await one.marks.set("revoked", "a", "leaked")
        assert [row[:2] for row in told] == [["revoked", "a"]]
        one.hear(["revoked", "b", told[0][2] + 1, "", None])  # from a worker
        assert one.marks.get("revoked", "b") is not None
        assert len(told) == 1
    assert saved(config) == {"a", "b"}
    async with AsyncExitStack() as stack:
        again = await keeper(stack, config)
        assert again.marks.get("revoked", "a") == one.marks.get("revoked", "a")
        assert await again.records.put("session", "a", b"1", 60)


@pytest.mark.redis
async def test_they_are_saved_soon_and_bring_a_new_store_up_to_date(tmp_path: Path) -> None:
    server = Server(binary_of("redis"), tmp_path).start()
    config = Config(store=Store(kind="url", url=server.url), data=tmp_path / "data")
    async with AsyncExitStack() as stack:
        one = await keeper(stack, config)
        await one.marks.set("revoked", "a")
        await until(lambda: saved(config) == {"a"})
        async with marks(config.store) as other:
            await other.set("revoked", "b")
        await until(lambda: saved(config) == {"a", "b"})
    server.kill()  # with all that it had, while no gateway runs
    async with AsyncExitStack() as stack:
        one = await keeper(stack, replace(config))
        assert one.marks.get("revoked", "b") is not None  # although the store is away
        with pytest.raises(StoreAway):
            await one.marks.set("revoked", "c")
        server.start()
        async with marks(config.store) as other:
            await until(lambda: knows(other))
    server.close()


async def knows(other: Any) -> bool:
    return await other.look() and other.listed("revoked").keys() == {"a", "b"}


async def test_where_there_is_nothing_to_keep_nothing_is_written(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        await keeper(stack, Config(store=Store(kind="memory"), data=tmp_path / "data"))
    assert not (tmp_path / "data").exists()


async def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "data"
    folder.write_text("a file")
    config = Config(store=Store(kind="memory"), data=folder)
    async with AsyncExitStack() as stack:
        one = await keeper(stack, config)
        await one.marks.set("revoked", "a")
        assert one.marks.get("revoked", "a") is not None
    assert "what is revoked cannot be saved" in caplog.text
