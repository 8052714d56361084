"""What all gateways of these tests have around them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from rigs.stage import Stage, stage_at
from rigs.stores import Server, binary_of


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    async with stage_at(tmp_path_factory.mktemp("stage")) as stage:
        yield stage


@pytest.fixture
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that this test may hurt; it syncs every write."""
    durable = ("--appendonly", "yes", "--appendfsync", "always")
    server = Server(binary_of("redis"), tmp_path_factory.mktemp("redis"), *durable).start()
    yield server
    server.kill()
