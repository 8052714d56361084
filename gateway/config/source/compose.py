"""YAML text → trees. Built from parser events, so that depth, size and aliases are bounded before anything recurses.

Tags and merge keys are refused, duplicate keys too. Uses PyYAML's C parser where that was built.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml

from gateway.config.problems import Problem, quote
from gateway.config.source.tree import Mark, Node, Start

DEPTH = 32
TOO_DEEP = f"the file is nested deeper than {DEPTH} levels"
NODES = 250_000  # of one file; about 10,000 plans
COPIES = 10_000  # values that the aliases of one file may add
CONTROL = "holds a line break or a control character"

PARSER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

has_control = re.compile(r"[\0-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]").search
_flow_address = re.compile(r"\[[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*\]:").search

Tell = Callable[[Problem], None]


class Stop(Exception):
    """A file cannot be read any further."""

    def __init__(self, mark: Mark, message: str) -> None:
        super().__init__(message)
        self.problem = mark.problem(message)


def compose(text: str, file: Path, tell: Tell, parser: Any = None) -> list[Node] | None:
    """The roots of the file's documents; None where it cannot be read to its end. Problems go to `tell`."""
    try:
        return [*_Composer(text, file, tell, parser or PARSER).documents()]
    except Stop as stop:
        tell(stop.problem)
    except yaml.reader.ReaderError as error:
        tell(_unreadable(error, text, file))
    except yaml.MarkedYAMLError as error:
        tell(_syntax(error, text, file))
    return None


class _Composer:
    def __init__(self, text: str, file: Path, tell: Tell, parser: Any) -> None:
        self._events: Iterator[Any] = yaml.parse(text, Loader=parser)
        self._file = file
        self._tell = tell
        self._anchors: dict[str, Node] = {}
        self._nodes = 0
        self._copies = 0

    def documents(self) -> Iterator[Node]:
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                self._anchors.clear()
                yield self._node(next(self._events))

    def _node(self, event: Any, parent: Node | None = None, name: str | int = "", key: Start | None = None) -> Node:
        node = Node(self._file, event.start_mark, parent, name, key)
        self._bound(node)
        if isinstance(event, yaml.AliasEvent):
            return self._copy(self._anchored(str(event.anchor), node.mark), node.mark, parent, name, key)
        self._fill(node, event)
        if event.tag is not None:
            self._tell(node.mark.problem("has a tag (!…), which is not used here; write the value alone", node.path))
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        return node

    def _bound(self, node: Node) -> None:
        self._nodes += 1
        if node.depth > DEPTH:
            raise Stop(node.mark, TOO_DEEP)
        if self._nodes > NODES:
            raise Stop(node.mark, f"the file has more than {NODES} values; spread them over several files")

    def _fill(self, node: Node, event: Any) -> None:
        if isinstance(event, yaml.MappingStartEvent):
            self._mapping(node)
        elif isinstance(event, yaml.SequenceStartEvent):
            self._sequence(node)
        else:
            node.value = event.value
            if has_control(event.value):
                node.broken = True
                self._tell(node.mark.problem(f"{CONTROL}; write it on one line", node.path))

    def _sequence(self, node: Node) -> None:
        items: list[Node] = []
        node.value = items
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            items.append(self._node(event, node, len(items)))

    def _mapping(self, node: Node) -> None:
        entries: dict[str, Node] = {}
        node.value = entries
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key = self._node(event, node)
            name = key.value if isinstance(key.value, str) else ""
            value = self._node(next(self._events), node, name, key.start)
            refused = _refused(key, entries)
            if refused is None:
                entries[name] = value
            else:
                node.broken = True
                self._tell(key.mark.problem(refused, node.path))

    def _anchored(self, anchor: str, mark: Mark) -> Node:
        if anchor not in self._anchors:
            raise Stop(mark, f"{quote(f'*{anchor}')} names no anchor above it")
        return self._anchors[anchor]

    def _copy(self, node: Node, mark: Mark, parent: Node | None, name: str | int, key: Start | None) -> Node:
        """A value once more, for each place that names it: a node has one path."""
        copy = Node(node.file, node.start, parent, name, key)
        copy.broken = node.broken
        self._copies += 1
        if self._copies > COPIES or copy.depth > DEPTH:
            raise Stop(mark, f"the file's aliases add more than {COPIES} values or {DEPTH} levels")
        if isinstance(node.value, dict):
            copy.value = {n: self._copy(child, mark, copy, n, child.key_start) for n, child in node.value.items()}
        elif isinstance(node.value, list):
            copy.value = [self._copy(child, mark, copy, n, None) for n, child in enumerate(node.value)]
        else:
            copy.value = node.value
        return copy


def _refused(key: Node, entries: dict[str, Node]) -> str | None:
    """Why a key cannot be taken; None: it can."""
    if not isinstance(key.value, str):
        return "a key must be text"
    if key.value == "<<":
        return "'<<' (merging) is not used here; write the keys out"
    if key.value in entries:
        return f"{quote(key.value)} is already defined at line {entries[key.value].key.line}"
    return None


def _unreadable(error: yaml.reader.ReaderError, text: str, file: Path) -> Problem:
    """The first character that YAML does not permit. The C parser counts in bytes, the other in characters."""
    at = error.position if error.encoding == "unicode" else len(text.encode()[: error.position].decode(errors="ignore"))
    line = text.count("\n", 0, at) + 1
    return Mark(file, line, at - text.rfind("\n", 0, at)).problem(
        "the file holds a character that YAML does not permit"
    )


def _syntax(error: yaml.MarkedYAMLError, text: str, file: Path) -> Problem:
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line, mark.column) if mark is not None else (0, 0)
    lines = text.splitlines() or [""]
    if line >= len(lines):  # the end of the file, after its last line break
        line, column = len(lines) - 1, len(lines[-1])
    if "nesting depth" in (error.problem or ""):  # of libyaml, which reads ahead
        return Mark(file, line + 1, column + 1).problem(TOO_DEEP)
    cure = _cure(lines[line], column)
    return Mark(file, line + 1, column + 1).problem(cure or f"is not YAML: {error.problem or error.context}")


def _cure(line: str, column: int) -> str | None:
    """What to do about the usual surprises of YAML."""
    at, before = line[column : column + 1], line[:column]
    if at == "{" and before.rstrip() and before[-1] not in " ,:[{":
        return 'a pattern with {…} needs quotes or block form in YAML: "GET /orders/{id}"'
    if at == "\t":
        return "a tab cannot indent YAML; use spaces"
    if _flow_address(line):
        return 'an IPv6 address needs quotes in YAML: "[::]:8080"'
    if at in ("@", "`", "%"):
        return f"a value that starts with {at} needs quotes in YAML"
    if at == ":":
        return "a second ': ' on one line; put quotes around the value"
    return None
