"""What a check says."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class Level(StrEnum):
    OK = "ok"
    WARNING = "warning"  # it works, and may not always
    PROBLEM = "problem"  # it does not, or promises are not kept


class Finding(NamedTuple):
    """`about` is what was looked at; `text` says how it is and, where it is not well, what to change."""

    level: Level
    about: str
    text: str


def ok(about: str, text: str) -> Finding:
    return Finding(Level.OK, about, text)


def warning(about: str, text: str) -> Finding:
    return Finding(Level.WARNING, about, text)


def problem(about: str, text: str) -> Finding:
    return Finding(Level.PROBLEM, about, text)
