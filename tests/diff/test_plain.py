"""Values of any shape, compared and shown; what is secret stays so wherever it is."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from gateway.diff.difference import Change
from gateway.diff.plain import changes
from gateway.model import Accept, KeyPlace
from gateway.process.declared import portable


class Pair(NamedTuple):
    cert: Path
    key: Path


@dataclass(frozen=True)
class Door:
    url: str
    secret: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Gate:
    url: str


@dataclass(frozen=True)
class House:
    doors: tuple[Door, ...] = ()
    front: Door | Gate | None = None
    pairs: tuple[Pair, ...] = ()
    accept: tuple[Accept, ...] = ()
    seconds: float = 1.0
    open: bool = False


@pytest.mark.parametrize(
    ("before", "after", "change"),
    [
        (House(seconds=1.5), House(seconds=60.0), Change("seconds", "1.5", "60")),
        (House(open=False), House(open=True), Change("open", "false", "true")),
        (House(front=Door("a")), House(front=Door("b")), Change("front.url", "a", "b")),
        (House(seconds=1234567.0), House(seconds=1234567.5), Change("seconds", "1234567", "1234567.5")),
        (House(front=Door("a")), House(front=Gate("a")), Change("front.type", "door", "gate")),
        (
            House(front=Gate("redis://gw:one@r")),
            House(front=Gate("redis://gw:two@r")),
            Change("front.url", "redis://***@r", "redis://***@r"),
        ),
        (House(), House(front=Door("b")), Change("front.url", None, "b")),
        (House(front=Door("a", "x")), House(front=Door("a", "y")), Change("front.secret", None, None)),
        (House(doors=(Door("a", "x"),)), House(doors=(Door("a", "y"),)), Change("doors", None, None)),
        (House(doors=(Door("a"),)), House(doors=(Door("a"), Door("b"))), Change("doors", "url a", "url a, url b")),
        (
            House(accept=(Accept(jwt="sso"),)),
            House(accept=(Accept(jwt="sso", api_key=KeyPlace("header", "X-Key")), Accept(jwt="sso"))),
            Change("accept", "jwt sso", "jwt sso + api_key header X-Key, jwt sso"),
        ),
    ],
)
def test_a_change_is_told_by_its_place(before: House, after: House, change: Change) -> None:
    assert changes(before, after) == (change,)


def test_files_anywhere_in_a_value_are_what_is_in_them(tmp_path: Path) -> None:
    houses: list[Any] = []
    for name, text in (("a", "one"), ("b", "one"), ("c", "two")):
        (tmp_path / name).write_text(text)
        houses.append(portable(House(pairs=(Pair(tmp_path / name, tmp_path / "missing"),))))
    assert changes(houses[0], houses[1]) == ()
    ((what, _, _),) = changes(houses[0], houses[2])
    assert what == "pairs"
    assert houses[0].pairs[0].key == tmp_path / "missing"
