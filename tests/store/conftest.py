"""Real servers: one, one behind Sentinels, a cluster."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from rigs.clusters import ClusterRig
from rigs.sentinels import SentinelRig
from rigs.stores import TcpServer, binary_of

KINDS = ("redis", "valkey")
DURABLE = ("--appendonly", "yes", "--appendfsync", "always")


@pytest.fixture(params=KINDS)
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[TcpServer]:
    """A server of each kind that this test may hurt; it syncs every write."""
    server = TcpServer(binary_of(request.param), tmp_path / "server", *DURABLE)
    server.start()
    yield server
    server.close()


@pytest.fixture(scope="module", params=KINDS)
def watched(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SentinelRig]:
    """A primary and a replica, three Sentinels; tests fail it over."""
    rig = SentinelRig(tmp_path_factory.mktemp("sentinel"), kind=request.param)
    try:
        yield rig.start()
    finally:
        rig.close()


@pytest.fixture(scope="module", params=KINDS)
def cluster(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterRig]:
    """Three primaries with a replica each; tests fail them over and move slots."""
    rig = ClusterRig(tmp_path_factory.mktemp("cluster"), kind=request.param, replicas=1)
    try:
        yield rig.start()
    finally:
        rig.close()
