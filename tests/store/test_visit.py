"""How a command finds the store of a gateway."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gateway.model import Address, Store
from gateway.store import StoreAway, StoreError
from gateway.store.embedded import EmbeddedStore, running_at
from gateway.store.visit import visiting

EMBEDDED = Store(kind="embedded")


@pytest.fixture(params=["data", "a-folder-with-a-long-name/" * 6])
def data(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Also one in which a socket's path is longer than Linux takes."""
    return tmp_path / request.param


async def test_the_server_of_a_gateway_that_runs_is_found(data: Path) -> None:
    embedded = EmbeddedStore(data)
    url = embedded.start()
    assert running_at(data) == url
    async with visiting(EMBEDDED, data) as servers, servers.client() as redis:
        await redis.set("a", "1")
    assert embedded.alive
    embedded.stop()
    assert running_at(data) is None
    assert not (data / "store" / "valkey.sock").is_symlink()


async def test_a_server_whose_url_is_known_is_not_looked_for(tmp_path: Path) -> None:
    """A gateway that asks its own, which may not answer at once, never takes the folder for another's."""
    embedded = EmbeddedStore(tmp_path / "data")
    url = embedded.start()
    async with visiting(replace(EMBEDDED, url=url), tmp_path / "elsewhere") as servers, servers.client() as redis:
        await redis.set("a", "1")
    embedded.stop()


async def test_while_no_gateway_runs_the_server_is_started_for_the_time(data: Path) -> None:
    async with visiting(EMBEDDED, data, create=True) as servers:
        async with servers.client() as redis:
            await redis.set("a", "1")
        assert running_at(data) is not None
    assert running_at(data) is None
    async with visiting(EMBEDDED, data) as servers, servers.client() as redis:
        assert await redis.get("a") == b"1"


async def test_data_that_another_version_keeps_are_refused(tmp_path: Path) -> None:
    async with visiting(EMBEDDED, tmp_path, create=True) as servers, servers.client() as redis:
        await redis.set("gw:protocol", "2")
    with pytest.raises(StoreError, match="are kept in protocol 2, by another version of the gateway"):
        async with visiting(EMBEDDED, tmp_path):
            pass


async def test_where_no_gateway_has_run_nothing_is_made(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no gateway has run with this folder"):
        async with visiting(EMBEDDED, tmp_path / "data"):
            pass
    assert not (tmp_path / "data").exists()


async def test_usage_in_memory_cannot_be_reached(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="use `store: embedded` or a server"):
        async with visiting(Store(kind="memory"), tmp_path):
            pass


async def test_a_store_that_is_away_is_told(tmp_path: Path) -> None:
    with pytest.raises(StoreAway, match="the store cannot be asked: "):
        async with visiting(Store(kind="url", url=f"unix://{tmp_path}/nothing"), tmp_path):
            pass


async def test_a_cluster_that_is_away_is_told(tmp_path: Path) -> None:
    nowhere = Address("127.0.0.1", 1)
    with pytest.raises(StoreAway, match="the store cannot be asked: "):
        async with visiting(Store(kind="cluster", nodes=(nowhere,)), tmp_path):
            pass


@pytest.mark.parametrize("trouble", [FileNotFoundError, BrokenPipeError])
async def test_trouble_with_a_file_is_not_the_stores(tmp_path: Path, trouble: type[OSError]) -> None:
    with pytest.raises(trouble):
        async with visiting(EMBEDDED, tmp_path, create=True):
            raise trouble
