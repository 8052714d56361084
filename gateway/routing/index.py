"""Which of many patterns match a path, without trying them all."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping
from typing import Generic, NamedTuple, TypeVar

from gateway.routing.patterns import Compiled, Condition, hold, parameters

T = TypeVar("T")


class Prefixes(Generic[T]):
    """Finds the longest key that a path starts with.

    In sorted order it is the path's predecessor, or one of that key's own prefixes.
    """

    def __init__(self, values: Mapping[bytes, T]) -> None:
        self._keys = sorted(values)
        self._values: list[T | None] = [*map(values.__getitem__, self._keys), None]  # None is found at -1
        self._shorter: list[int] = []  # the place of a key's longest own prefix, or -1
        enclosing = [-1]
        for place, key in enumerate(self._keys):
            while enclosing[-1] >= 0 and not key.startswith(self._keys[enclosing[-1]]):
                enclosing.pop()
            self._shorter.append(enclosing[-1])
            enclosing.append(place)

    def values(self) -> list[T]:
        """All of them."""
        return [value for value in self._values if value is not None]

    def longest(self, path: bytes) -> T | None:
        """The value of the longest key, or None."""
        keys = self._keys
        place = bisect_right(keys, path) - 1
        while place >= 0 and not path.startswith(keys[place]):
            place = self._shorter[place]
        return self._values[place]


class Check(NamedTuple):
    """A pattern whose head is not all. `every`: see `hold`."""

    bit: int
    match: Callable[[bytes], object] | None
    conditions: tuple[Condition, ...]
    every: bool


class Entry(NamedTuple):
    """A numbered pattern."""

    bit: int
    pattern: Compiled
    every: bool


Node = tuple[int, tuple[Check, ...]]  # what matches by the head alone, and what must be asked


def _node(outer: Node, entries: list[Entry]) -> Node:
    certain, checks = outer
    for bit, (_, match, conditions), every in entries:
        if match is None and not conditions:
            certain |= bit
        else:
            checks += (Check(bit, match, conditions, every),)
    return certain, checks


class Index:
    """A set of patterns; `matches` tells as a bit mask which of them match."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        by_head: dict[bytes, list[Entry]] = {}
        for entry in entries:
            by_head.setdefault(entry.pattern.head, []).append(entry)
        nodes: dict[bytes, Node] = {}
        enclosing: list[bytes] = []
        for head in sorted(by_head):  # a prefix comes before what it begins
            while enclosing and not head.startswith(enclosing[-1]):
                enclosing.pop()
            nodes[head] = _node(nodes[enclosing[-1]] if enclosing else (0, ()), by_head[head])
            enclosing.append(head)
        self._nodes = Prefixes(nodes)

    def matches(self, path: bytes, query: bytes) -> int:
        """The bits of the patterns that match a decoded path and a raw query."""
        node = self._nodes.longest(path)
        if node is None:
            return 0
        mask, checks = node
        given = None
        for bit, match, conditions, every in checks:
            if match is None or match(path):
                if conditions:
                    given = parameters(query) if given is None else given
                    if not hold(conditions, given, every=every):
                        continue
                mask |= bit
        return mask
