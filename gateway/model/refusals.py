"""How a service's clients are told that they are refused, where the files say it."""

from __future__ import annotations

from typing import NamedTuple


class Refusal(NamedTuple):
    """None: as without it. `parts` are text and names of placeholders in turn, beginning with text."""

    status: int | None = None
    type: str | None = None  # Content-Type, of `parts`
    parts: tuple[str, ...] | None = None
