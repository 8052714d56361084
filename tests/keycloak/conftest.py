"""One real Keycloak for the whole run, and what stands around a gateway that trusts it.

Where Java, Maven or Redis is missing the tests are skipped, except where CI=true.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator, Generator, Iterator
from pathlib import Path
from typing import NoReturn

import httpx2
import pytest
import pytest_asyncio

from . import distribution, server
from .demo import create_demo
from .realms import Admin, Realm
from .redis import serving_redis
from .stage import Service, serving_orders


def lacking(what: str) -> NoReturn:
    if os.environ.get("CI") == "true":
        pytest.fail(what)
    pytest.skip(what)


@pytest.fixture(scope="session")
def keycloak(tmp_path_factory: pytest.TempPathFactory) -> Iterator[server.Server]:
    """The server's process. Not to be had: skipped. Does not build or start: failed."""
    try:
        home = distribution.install(distribution.default_cache())
    except distribution.ToolMissing as missing:
        lacking(str(missing))
    except distribution.Refused as refused:
        pytest.skip(str(refused))
    with server.running(home, tmp_path_factory.mktemp("keycloak")) as running:
        yield running


@pytest.fixture(scope="session")
def admin(keycloak: server.Server) -> Iterator[Admin]:
    with httpx2.Client(timeout=60) as http:
        yield Admin(keycloak.url, keycloak.username, keycloak.password, http)


@pytest.fixture(scope="session")
def demo(admin: Admin) -> Realm:
    """Shared by all tests: who changes a realm makes one of its own."""
    return create_demo(admin)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def orders(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    async with serving_orders(tmp_path_factory.mktemp("orders")) as service:
        yield service


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[str]:
    """The URL of an empty Redis."""
    if shutil.which("redis-server") is None:
        lacking("no `redis-server`: apt-get install redis-server")
    with serving_redis(tmp_path) as url:
        yield url


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Shows the end of Keycloak's log with a failure."""
    report = yield
    running = getattr(item, "funcargs", {}).get("keycloak")
    if report.failed and running is not None:
        report.sections.append(("Keycloak's log", server.last_words(running.log)))
    return report
