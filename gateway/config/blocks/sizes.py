"""Amounts of bytes and what is measured by the second: sizes, rates, shares of memory."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated

from gateway.config.blocks.scalar import Json, Scalar
from gateway.config.problems import Complaint
from gateway.model import UNLIMITED, Memory, Rate

KIB, MIB = 1024, 1024 * 1024
OFF = "off"

_UNITS = {"B": 1, "KiB": KIB, "MiB": MIB, "GiB": 1024 * MIB}
_SIZE = r"([0-9]{1,9})(B|KiB|MiB|GiB)"
_PERCENT = r"([0-9]{1,2})%"
_WINDOWS = {"second": 1, "minute": 60, "hour": 3600}
_RATE = rf"([1-9][0-9]{{0,8}})/({'|'.join(_WINDOWS)})"


def _size(text: str) -> int:
    found = re.fullmatch(_SIZE, text, re.ASCII)
    if found is None:
        raise ValueError(text)
    return int(found[1]) * _UNITS[found[2]]


def _between(least: int, most: int, told: str) -> Callable[[str], int]:
    def parse(text: str) -> int:
        size = _size(text)
        if not least <= size <= most:
            raise Complaint(f"is not {told}", shown=text)
        return size

    return parse


def _body(text: str) -> int:
    return UNLIMITED if text == "unlimited" else _size(text)


def _flow(text: str) -> int:
    if text == OFF:
        return 0
    size, slash, second = text.partition("/")
    if slash + second != "/s" or not _size(size):
        raise ValueError(text)
    return _size(size)


def _memory(text: str) -> Memory | None:
    if text == OFF:
        return None
    percent = re.fullmatch(_PERCENT, text, re.ASCII)
    if percent is None:
        return Memory(size=_between(32 * MIB, UNLIMITED, "as much as a worker needs (32MiB)")(text))
    if not int(percent[1]):
        raise ValueError(text)
    return Memory(percent=int(percent[1]))


def _rate(text: str) -> Rate | None:
    if text == OFF:
        return None
    found = re.fullmatch(_RATE, text, re.ASCII)
    if found is None:
        raise ValueError(text)
    return Rate(int(found[1]), _WINDOWS[found[2]])


def _written(pattern: str) -> Json:
    return {"type": "string", "pattern": f"^(?:{pattern})$"}


Target = Annotated[
    int, Scalar("a size such as 8KiB or 2000B", _between(256, 256 * KIB, "from 256B to 256KiB"), _written(_SIZE))
]
Head = Annotated[int, Scalar("a size such as 32KiB", _between(KIB, 256 * KIB, "from 1KiB to 256KiB"), _written(_SIZE))]
Body = Annotated[int, Scalar("a size such as 100MiB or 64KiB, or unlimited", _body, _written(f"{_SIZE}|unlimited"))]
Flow = Annotated[int, Scalar("bytes a second such as 240B/s or 1KiB/s, or off", _flow, _written(f"{_SIZE}/s|{OFF}"))]
Watermark = Annotated[
    Memory | None,
    Scalar("a share such as 90%, a size such as 512MiB, or off", _memory, _written(f"{_PERCENT}|{_SIZE}|{OFF}")),
]
Tolerance = Annotated[
    Rate | None, Scalar("an amount such as 100/second (second minute hour), or off", _rate, _written(f"{_RATE}|{OFF}"))
]
