"""What a request is charged, where its answer has a say in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

Place = tuple[str, str]  # of an amount in an answer: kind, name


@dataclass(frozen=True, slots=True, kw_only=True)
class Charging:
    """For which answers nothing is charged: their statuses, such as `404`, or classes of them, such as `5xx`."""

    except_status: tuple[str, ...] = ()

    def takes(self, status: int) -> bool:
        """Whether an answer of this status is charged (0: there was none)."""
        return not self.except_status or not {str(status), f"{status // 100}xx"}.intersection(self.except_status)


class Measure(NamedTuple):
    """Where an answer says how much of a metric was used: in its `header` of that name, or in its `json` at that path.
    So much is held in reserve until then, and charged where the answer does not say.
    """

    metric: str
    kind: str
    name: str
    reserve: int

    @property
    def place(self) -> Place:
        return self.kind, self.name

    def __str__(self) -> str:
        return f"{self.metric} by {self.kind} {self.name} (reserve {self.reserve})"
