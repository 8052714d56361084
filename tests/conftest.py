"""How the tests are divided where they run on two cores, as `scripts/test` has all of them do.

Tests of one file stay together, as they share servers; those at Keycloak share one. A test that is marked `alone`
measures times or memory: no other one runs meanwhile.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Generator
from pathlib import Path

import pytest
from rigs.turns import Turns

# Each gateway that a test starts is three programs, each of which would compile its 200 files again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

TESTS = Path(__file__).parent
TOGETHER = ("keycloak",)  # folders whose tests share what is too dear to start twice
ORDER = ("keycloak", "end_to_end", "quota", "proxy", "store")  # the longest first: nobody waits for one that began late
TURNS = pytest.StashKey[Turns]()


def pytest_configure(config: pytest.Config) -> None:
    if hasattr(config, "workerinput"):
        config.stash[TURNS] = Turns()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """For workers of pytest-xdist: each test's group, in order."""
    if TURNS not in config.stash:
        return
    for item in items:
        room, *_ = inside = item.path.relative_to(TESTS).parts
        item.add_marker(pytest.mark.xdist_group(room if room in TOGETHER else "/".join(inside)))
    items.sort(key=place)


def place(item: pytest.Item) -> int:
    """Of its room in the order."""
    room = item.path.relative_to(TESTS).parts[0]
    return ORDER.index(room) if room in ORDER else len(ORDER)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Waiting for a turn is not the test's time."""
    if TURNS not in item.config.stash:
        return (yield)
    with item.config.stash[TURNS].taken(alone=item.get_closest_marker("alone") is not None):
        return (yield)
