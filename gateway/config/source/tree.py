"""Values as a tree whose every node knows its place. All scalars stay text: the schema says how to read them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from gateway.config.problems import Complaint, Problem, quote

_plain_name = re.compile(r"[A-Za-z0-9_-]+").fullmatch


class Start(Protocol):
    """Where a parser found something, counted from 0."""

    @property
    def line(self) -> int: ...

    @property
    def column(self) -> int: ...


class Mark(NamedTuple):
    """Where something is: a file and, from 1, line and column."""

    file: Path
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"

    def problem(self, message: str, path: str = "") -> Problem:
        return Problem(str(self.file), self.line, self.column, path, message)


class Node:
    """A mapping, a list or text; its place; its name in what contains it, and where that name is."""

    __slots__ = ("broken", "depth", "file", "key_start", "name", "parent", "start", "value", "written")

    def __init__(
        self, file: Path, start: Start, parent: Node | None = None, name: str | int = "", key_start: Start | None = None
    ) -> None:
        self.value: dict[str, Node] | list[Node] | str = ""
        self.file = file
        self.start = start
        self.parent = parent
        self.name = name
        self.key_start = key_start
        self.depth: int = 1 if parent is None else parent.depth + 1
        self.written: str | None = None  # what the file says, where the value came from elsewhere
        self.broken = False  # its problem was already told

    @property
    def mark(self) -> Mark:
        """Where the value is."""
        return Mark(self.file, self.start.line + 1, self.start.column + 1)

    @property
    def key(self) -> Mark:
        """Where its name is, in a mapping; else where the value is."""
        start = self.key_start or self.start
        return Mark(self.file, start.line + 1, start.column + 1)

    @property
    def entries(self) -> dict[str, Node]:
        """What a mapping holds; nothing for other values."""
        return self.value if isinstance(self.value, dict) else {}

    @property
    def path(self) -> str:
        """As in `plans.gold.limits.hits[0]`."""
        if self.parent is None:
            return ""
        above = self.parent.path
        if isinstance(self.name, int):
            return f"{above}[{self.name}]"
        if not _plain_name(self.name):
            return f"{above}[{quote(self.name)}]"
        return f"{above}.{self.name}" if above else self.name

    def plain(self) -> Any:
        """The value without places: dicts, lists and text."""
        if isinstance(self.value, dict):
            return {name: child.plain() for name, child in self.value.items()}
        return [child.plain() for child in self.value] if isinstance(self.value, list) else self.value

    def find(self, path: tuple[str | int, ...]) -> Node:
        """The node at `path`, or the nearest above it."""
        node = self
        for part in path:
            child = node.child(part)
            if child is not None:
                node = child
            elif part != 0 or isinstance(node.value, list):  # a lone item may stand for a list
                break
        return node

    def child(self, part: str | int) -> Node | None:
        if isinstance(self.value, list):
            return self.value[part] if isinstance(part, int) and part < len(self.value) else None
        return self.entries.get(str(part))

    def names(self, *path: str) -> frozenset[str]:
        """The keys of the mapping at `path`; none where there is none."""
        node: Node | None = self
        for part in path:
            node = node.entries.get(part) if node is not None else None
        return frozenset(node.entries) if node is not None else frozenset()

    def texts(self) -> Iterator[Node]:
        """All text here and below."""
        if isinstance(self.value, str):
            yield self
        else:
            for child in self.value.values() if isinstance(self.value, dict) else self.value:
                yield from child.texts()

    def problem(self, complaint: Complaint) -> Problem:
        """A complaint about this node: at its value if that is text, else (or if its name is meant) at its name."""
        by_name = complaint.on_key or not isinstance(self.value, str)
        mark = self.key if by_name else self.mark
        written = None if complaint.on_key else self.written
        return mark.problem(complaint.message(written), self.path)


def cut(nodes: list[Node]) -> None:
    """Take these out of what contains them; a root is emptied."""
    gone = {id(node) for node in nodes}
    for above in {id(node.parent): node.parent or node for node in nodes}.values():
        if above.parent is None and id(above) in gone:
            above.value = {}
        elif isinstance(above.value, dict):
            above.value = {name: child for name, child in above.value.items() if id(child) not in gone}
        elif isinstance(above.value, list):
            above.value = [child for child in above.value if id(child) not in gone]
