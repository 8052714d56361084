"""How the tests run in three processes, as `scripts/test` has all of them do.

Tests of one file stay together, as they share servers; those at Keycloak share one. Tests that are marked `alone`
measure times: they come last, and no other one runs meanwhile.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Generator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from rigs.division import Division, place
from rigs.turns import Turns

from gateway import build

# Each gateway that a test starts is three programs, each of which would compile its 200 files again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# On a busy machine an example may take any time.
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")

TURNS = pytest.StashKey[Turns]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--compiled", action="store_true", help="fail where the gateway is not compiled")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("compiled") and build() != "compiled":
        raise pytest.UsageError("the gateway that is imported is not compiled")
    if hasattr(config, "workerinput"):
        config.stash[TURNS] = Turns()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Division:
    return Division(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if TURNS in config.stash:
        items.sort(key=lambda item: place(item.nodeid, is_alone(item)))


def pytest_collection_finish() -> None:
    """Thousands of tests as objects need not be looked at again by each collection of garbage."""
    gc.collect()
    gc.freeze()


def is_alone(item: pytest.Item) -> bool:
    return item.get_closest_marker("alone") is not None


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Waiting for a turn is not the test's time."""
    if TURNS not in item.config.stash:
        return (yield)
    with item.config.stash[TURNS].taken(alone=is_alone(item)):
        return (yield)
