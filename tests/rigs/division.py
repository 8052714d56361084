"""How tests are divided among processes, and in which order."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from typing import Any

from xdist.scheduler import LoadScopeScheduling

TOGETHER = ("keycloak",)  # folders whose tests share what is too dear to start twice
ORDER = ("keycloak", "end_to_end", "quota", "proxy", "store")  # the longest first: nobody waits for one that began late


def room(name: str) -> str:
    """Of a test by its name, which begins with its file's path."""
    return name.removeprefix("tests/").partition("/")[0]


def place(name: str, alone: bool) -> int:
    """In the order. Those that run alone come last, when nobody has to wait for them."""
    return len(ORDER) + 1 if alone else ORDER.index(room(name)) if room(name) in ORDER else len(ORDER)


def group(name: str) -> str:
    """What runs in one process, one test after another: a file, as its tests share servers."""
    return room(name) if room(name) in TOGETHER else name.partition("::")[0]


def numbered(names: Iterable[str]) -> dict[str, str]:
    """The group of each test: of a file whose tests do not all follow one another, each part is a group."""
    parts = enumerate(groupby(names, group))
    return {name: f"{number} {key}" for number, (key, members) in parts for name in members}


class Division(LoadScopeScheduling):
    """Hands the groups out in their order."""

    def __init__(self, config: Any, log: Any = None) -> None:
        super().__init__(config, log)
        config.option.loadscopereorder = False
        self._groups: dict[str, str] = {}

    def schedule(self) -> None:
        self._groups = self._groups or numbered(next(iter(self.registered_collections.values())))
        super().schedule()

    def _split_scope(self, nodeid: str) -> str:
        return self._groups[nodeid]
