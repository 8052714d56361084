"""Finds whole numbers in JSON (RFC 8259) as its bytes stream by, and keeps nothing else of them.

Only objects on the way to what is wanted are looked into. As JSON parsers do, the last of members with one name counts.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

NAME = 400  # bytes of a member's name that are kept; wanted ones are shorter, however they are escaped
DEPTH = 1000  # of what is nested
DIGITS = 16  # bytes of a number that are kept

_space = re.compile(rb"[ \t\r\n]*").match
_scalar = re.compile(rb"[^ \t\r\n\"{}\[\],:]*").match
_dull = re.compile(rb"[^\"{}\[\]]*").match  # where nothing is wanted
_amount = re.compile(rb"-?0|[1-9][0-9]{0,14}").fullmatch
QUOTE, BACKSLASH = b'"\\'
CLOSES = {ord("}"): ord("{"), ord("]"): ord("[")}


class Node:
    """A name on the way to what is wanted, or at its end."""

    __slots__ = ("children", "value", "wanted")

    def __init__(self) -> None:
        self.children: dict[str, Node] = {}
        self.wanted = False
        self.value: int | None = None

    def forget(self) -> None:
        """What was found here is not the last word."""
        self.value = None
        for child in self.children.values():
            child.forget()


class JsonAmounts:
    """Of one text after the other. `paths` are names from the outermost object inwards, joined by dots."""

    def __init__(self, paths: Iterable[str]) -> None:
        self._root = Node()
        self._leaves: dict[str, Node] = {}
        for path in paths:
            node = self._root
            for name in path.split("."):
                node = node.children.setdefault(name, Node())
            node.wanted = True
            self._leaves[path] = node
        self.begin()

    def begin(self) -> None:
        """A new text."""
        self._root.forget()
        self._open = bytearray()  # brackets
        self._nodes: list[Node] = []  # of the outermost of them, as far as they are on the way
        self._child: Node | None = self._root  # of the value that comes next
        self._names = False  # the next string on the way is a name
        self._string: bytearray | None = None  # what is kept of the string that is being read
        self._in_string = self._escaped = False
        self._number: bytearray | None = None
        self._done = self._broken = False

    def found(self) -> dict[str, int]:
        """What a whole text has said, by path; nothing of one that is broken or cut short."""
        if self._broken or not self._done:
            return {}
        return {path: node.value for path, node in self._leaves.items() if node.value is not None}

    def feed(self, data: bytes) -> None:
        """The next bytes of it."""
        at, end = 0, len(data)
        while at < end and not self._broken:
            at = self._rest_of_string(data, at) if self._in_string else self._next(data, at)

    def _next(self, data: bytes, at: int) -> int:
        if self._number is not None:
            at = self._rest_of_number(data, at)
        elif self._open and len(self._open) != len(self._nodes):
            at = _dull(data, at).end()  # type: ignore[union-attr]
        at = _space(data, at).end()  # type: ignore[union-attr]
        if at == len(data):
            return at
        sign = data[at]
        if self._done:
            self._broken = True
        elif sign == QUOTE:
            self._in_string = True
            self._string = bytearray() if self._names and self._on_the_way else None
        elif sign in b"{[":
            self._begin(sign)
        elif sign in b"}]":
            self._end(sign)
        elif sign in b",:":
            self._names = sign == 44
            self._broken = not self._open
        else:
            self._number = bytearray()
            return at
        return at + 1

    @property
    def _on_the_way(self) -> bool:
        return len(self._open) == len(self._nodes)

    def _begin(self, sign: int) -> None:
        if len(self._open) == DEPTH:
            self._broken = True
        if self._on_the_way and self._child is not None and self._child.children and sign == 123:
            self._nodes.append(self._child)
        self._open.append(sign)
        self._child, self._names = None, True

    def _end(self, sign: int) -> None:
        if not self._open or self._open[-1] != CLOSES[sign]:
            self._broken = True
            return
        if self._on_the_way:
            self._nodes.pop()
        self._open.pop()
        self._child, self._names = None, False
        self._done = not self._open

    def _rest_of_string(self, data: bytes, at: int) -> int:
        start = at
        if self._escaped:
            self._escaped = False
            at += 1
        while True:
            quote = data.find(b'"', at)
            end = len(data) if quote < 0 else quote
            back = end
            while back > at and data[back - 1] == BACKSLASH:
                back -= 1
            if quote < 0:
                self._escaped = (end - back) % 2 == 1
                self._keep(data[start:end])
                return end
            at = quote + 1
            if (quote - back) % 2 == 0:
                self._keep(data[start:quote])
                self._string_ended()
                return at

    def _keep(self, part: bytes) -> None:
        if self._string is not None and len(self._string) <= NAME:
            self._string += part[: NAME + 1]

    def _string_ended(self) -> None:
        self._in_string = False
        if self._string is not None:
            self._named(self._nodes[-1].children.get(text_of(bytes(self._string))))

    def _named(self, child: Node | None) -> None:
        self._string = None
        self._names = False
        self._child = child
        if child is not None:
            child.forget()

    def _rest_of_number(self, data: bytes, at: int) -> int:
        end = _scalar(data, at).end()  # type: ignore[union-attr]
        assert self._number is not None
        if len(self._number) <= DIGITS:
            self._number += data[at : min(end, at + DIGITS + 1)]
        if end < len(data):
            child, number = self._child, bytes(self._number)
            self._number = None
            if self._on_the_way and child is not None and child.wanted and _amount(number):
                child.value = int(number)
            if not self._open:
                self._done = True
        return end


def text_of(name: bytes) -> str:
    """A member's name, of which the bytes between the quotes are given; "" for what is none, or none that is wanted."""
    try:
        found = json.loads(b'"%b"' % name) if b"\\" in name else name.decode()
    except ValueError:
        return ""
    return str(found)
