"""What is asked of identity providers, as it is counted: which one, what for, how it ended, how long it took."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

Call = Literal["keys", "introspection", "exchange"]
Result = Literal["ok", "refused", "failed"]  # refused: by the provider; failed: it gave no answer that could be used
OK: Result = "ok"
REFUSED: Result = "refused"
FAILED: Result = "failed"

OnCall = Callable[[str, Call, Result, float], None]  # a provider's name …, seconds


def nobody(_provider: str, _call: Call, _result: Result, _seconds: float) -> None:
    """Counts nothing."""
