"""One real Keycloak for the whole run. Where Java or Maven is missing its tests are skipped, except where CI=true."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator

import httpx2
import pytest

from . import distribution, server
from .demo import create_demo
from .realms import Admin, Realm


@pytest.fixture(scope="session")
def keycloak(tmp_path_factory: pytest.TempPathFactory) -> Iterator[server.Server]:
    """The server's process. Not to be had: skipped. Does not build or start: failed."""
    try:
        home = distribution.install(distribution.default_cache())
    except distribution.ToolMissing as missing:
        give_up = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        give_up(str(missing))
    except distribution.Refused as refused:
        pytest.skip(str(refused))
    with server.running(home, tmp_path_factory.mktemp("keycloak")) as running:
        yield running


@pytest.fixture(scope="session")
def admin(keycloak: server.Server) -> Iterator[Admin]:
    with httpx2.Client(timeout=30) as http:
        yield Admin(keycloak.url, keycloak.username, keycloak.password, http)


@pytest.fixture(scope="session")
def demo(admin: Admin) -> Realm:
    """Shared by all tests: who changes a realm makes one of its own."""
    return create_demo(admin)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Shows the end of Keycloak's log with a failure."""
    report = yield
    running = getattr(item, "funcargs", {}).get("keycloak")
    if report.failed and running is not None:
        report.sections.append(("Keycloak's log", server.last_words(running.log)))
    return report
