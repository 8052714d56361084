"""How a service's clients are told that they are refused, where the files say it."""

from __future__ import annotations

from typing import NamedTuple


class Refusal(NamedTuple):
    """None: as without it. `parts` are text and names of placeholders in turn, beginning with text."""

    status: int | None = None
    type: str | None = None  # Content-Type, of `parts`
    parts: tuple[str, ...] | None = None

    def __str__(self) -> str:
        """On one line, with its template as the files write it."""
        parts = self.parts or ()
        body = "".join(f"{{{part}}}" if place % 2 else part for place, part in enumerate(parts))
        said = (str(self.status or ""), self.type or "", " ".join(body.split()))
        return " ".join(word for word in said if word)
