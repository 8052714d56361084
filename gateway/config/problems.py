"""What is wrong in the files, in one style: `file:line:column: path: what is wrong, what would be right`."""

from __future__ import annotations

import difflib
from collections.abc import Hashable, Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple

SHOWN = 60  # characters of a value that a message repeats
COMPARED = 700  # known words that one word is compared with; more than there are time zones


class Problem(NamedTuple):
    """One thing to put right. Line and column count from 1; 0 for what concerns a whole file or folder."""

    file: str
    line: int
    column: int
    path: str
    message: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        return ": ".join(part for part in (place, self.path, self.message) if part)


class ConfigError(Exception):
    """The files cannot be used; `problems` holds everything that was found, by file and position."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(set(problems)))
        super().__init__("\n".join(map(str, self.problems)))


class Complaint(ValueError):
    """A value cannot be used. The whole sentence is `shown` in quotes, where given, and `text`.

    Only `shown` may repeat the value: it is replaced by what the file says where the value came from a variable or
    another file. `at` leads from the value to the part of it that is meant; `on_key` means its name.
    """

    def __init__(
        self, text: str, shown: str | None = None, at: tuple[str | int, ...] = (), *, on_key: bool = False
    ) -> None:
        super().__init__(text)
        self.text = text
        self.shown = shown
        self.at = at
        self.on_key = on_key

    def below(self, *names: str | int, on_key: bool = False) -> Complaint:
        """The same about a part of the value."""
        return Complaint(self.text, self.shown, (*names, *self.at), on_key=on_key or self.on_key)

    def message(self, written: str | None = None) -> str:
        """The sentence; `written` is what the file says in place of the value."""
        shown = self.shown if written is None else written
        return self.text if self.shown is None or shown is None else f"{quote(shown)} {self.text}"


def kind(value: object) -> str:
    """What a value is, in YAML's words."""
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    return "text" if value else "empty"


def quote(text: str) -> str:
    """A value in single quotes, on one line and not too long."""
    cut = text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
    return "'" + "".join(c if c.isprintable() else ascii(c)[1:-1] for c in cut) + "'"


def repeated(items: Iterable[Hashable]) -> Iterator[int]:
    """The positions of items that are equal to an earlier one."""
    seen: set[Hashable] = set()
    for position, item in enumerate(items):
        if item in seen:
            yield position
        seen.add(item)


def choices(known: Iterable[str]) -> str:
    """What could be said instead: `(reject allow)`."""
    return f"({' '.join(known) or 'none is defined'})"


@lru_cache
def similar(word: str, known: tuple[str, ...]) -> str | None:
    """The known word that was probably meant; not looked for among very many."""
    return next(iter(difflib.get_close_matches(word[:SHOWN], known[:COMPARED], n=1)), None)


def instead(word: str, known: Iterable[str]) -> str:
    """The end of a sentence about an unknown word: the nearest known one, or all where they are few."""
    known = tuple(sorted(known) if isinstance(known, frozenset) else known)
    if near := similar(word, known):
        return f"; did you mean {quote(near)}?"
    return f" {choices(known)}" if len(known) <= 12 else ""
