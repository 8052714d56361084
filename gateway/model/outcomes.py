"""What the ledger says of a request."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Protocol

from gateway.model.plans import DownMode, Limit


class Verdict(StrEnum):
    """The ledger's answer."""

    GRANTED = "granted"
    REFUSED = "refused"
    UNAVAILABLE = "unavailable"  # the store cannot be asked


class Hold(Protocol):
    """What a ledger keeps for a request while it is under way: permits, and what is reserved."""

    def settle(self, usage: Mapping[str, int]) -> None:
        """The request has ended, and used so much of each metric (0 of what is not said); once."""


class Outcome:
    """A verdict with the limit that decided: the one that refused, else the scarcest (None: no limit applies).

    `remaining` is a hint. `resets_at` is in Unix seconds, None for eternity; `retry_after` in whole seconds, None
    where waiting does not help. `fallback` says that the store was not asked: let in by `open` or `local`. `shadow` is
    a limit that would have refused, if it were not in shadow. `elsewhere`: refused for now, as other processes have in
    hand what is left. `hold` is to be settled when the request has ended. `crowded`: it might have waited for its turn,
    if not too many did already.

    A value, changed by nobody; a class that the compiler knows, as each request has its own.
    """

    __slots__ = (
        "crowded",
        "elsewhere",
        "fallback",
        "hold",
        "limit",
        "remaining",
        "resets_at",
        "retry_after",
        "shadow",
        "verdict",
    )

    def __init__(
        self,
        verdict: Verdict,
        limit: Limit | None = None,
        remaining: int = 0,
        resets_at: float | None = None,
        retry_after: int | None = None,
        fallback: DownMode | None = None,
        shadow: Limit | None = None,
        elsewhere: bool = False,
        hold: Hold | None = None,
        crowded: bool = False,
    ) -> None:
        self.verdict = verdict
        self.limit = limit
        self.remaining = remaining
        self.resets_at = resets_at
        self.retry_after = retry_after
        self.fallback = fallback
        self.shadow = shadow
        self.elsewhere = elsewhere
        self.hold = hold
        self.crowded = crowded

    def replace(self, **changes: Any) -> Outcome:
        """Another one that differs in these."""
        return Outcome(**(self._parts() | changes))

    def _parts(self) -> dict[str, Any]:
        return {
            "verdict": self.verdict,
            "limit": self.limit,
            "remaining": self.remaining,
            "resets_at": self.resets_at,
            "retry_after": self.retry_after,
            "fallback": self.fallback,
            "shadow": self.shadow,
            "elsewhere": self.elsewhere,
            "hold": self.hold,
            "crowded": self.crowded,
        }

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Outcome) and self._parts() == other._parts()

    def __hash__(self) -> int:
        return hash(tuple(self._parts().values()))

    def __repr__(self) -> str:
        return f"Outcome({', '.join(f'{name}={part!r}' for name, part in self._parts().items())})"
