"""A store is looked at before it is used: an unfit one is refused, one that is away does not prevent the start."""

from __future__ import annotations

from pathlib import Path

import pytest
from redis.asyncio import Redis

from gateway.model import Store
from gateway.store import StoreError
from gateway.store.connection import connect
from gateway.store.embedded import EmbeddedStore
from gateway.store.vetting import Vetting


async def test_a_fit_store_is_fit(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    embedded = EmbeddedStore(tmp_path)
    async with connect(Store(kind="embedded", url=embedded.start())) as redis:
        with caplog.at_level("INFO"):
            assert await Vetting(redis).look()
        assert "durable: every write" in caplog.text
    embedded.stop()


async def test_an_unfit_store_is_refused(tmp_path: Path) -> None:
    embedded = EmbeddedStore(tmp_path)
    async with connect(Store(kind="embedded", url=embedded.start())) as redis:
        await redis.config_set("maxmemory-policy", "allkeys-lru")
        with pytest.raises(StoreError, match="allkeys-lru: it would drop counters"):
            await Vetting(redis).look()
    embedded.stop()


async def test_a_store_that_is_away_is_looked_at_when_it_is_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.store.vetting.AGAIN", 0.01)
    embedded = EmbeddedStore(tmp_path)
    url = embedded.start()
    async with Redis.from_url(url) as redis:
        await redis.config_set("maxmemory-policy", "volatile-lru")
        vetting = Vetting(Redis.from_url(f"unix://{tmp_path}/nothing.sock"))
        assert not await vetting.look()
        assert vetting.problem is None
        vetting._redis = redis  # as if it had come back
        await vetting.look_on()
        assert vetting.problem is not None
    embedded.stop()
