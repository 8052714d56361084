"""How the tests are divided where they run on two cores, as `scripts/test` has all of them do.

Tests of one file stay together, as they share servers. Whole gateways under load never run beside each other, nor
beside the start of Keycloak: they come first, and it comes late enough.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
TOGETHER = ("end_to_end", "keycloak")  # folders whose tests never run beside each other
ORDER = ("end_to_end", "quota", "store", "keycloak")  # the longest first, so that nobody waits for one that began late

# Each gateway that a test starts is three programs, each of which would compile its 200 files again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """For workers of pytest-xdist: each test's group, in order."""
    if not hasattr(config, "workerinput"):
        return
    for item in items:
        room, *_ = inside = item.path.relative_to(TESTS).parts
        item.add_marker(pytest.mark.xdist_group(room if room in TOGETHER else "/".join(inside)))
    items.sort(key=place)


def place(item: pytest.Item) -> int:
    """Of its room in the order."""
    room = item.path.relative_to(TESTS).parts[0]
    return ORDER.index(room) if room in ORDER else len(ORDER)
