"""What a request is charged, where its answer has a say in it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Charging:
    """For which answers nothing is charged: their statuses, such as `404`, or classes of them, such as `5xx`."""

    except_status: tuple[str, ...] = ()

    def takes(self, status: int) -> bool:
        """Whether an answer of this status is charged (0: there was none)."""
        return not self.except_status or not {str(status), f"{status // 100}xx"}.intersection(self.except_status)
