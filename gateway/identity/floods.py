"""Floods of refused credentials: an address that sends too many is answered without looking at what it sends.

This saves the work of verifying, which is all that a flood costs: keys and signatures cannot be guessed. So what is
known to be valid passes always, and an honest client's everyday mistakes are not counted.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from gateway.errors import TooMany
from gateway.http.peer import client_of
from gateway.model import Rate

ADDRESSES = 10_000  # remembered; one is about 200 bytes
EVERYDAY = frozenset(  # said of what is known, or of nothing
    (
        "credentials_missing",
        "dpop_nonce_required", "token_expired", "token_not_yet_valid",
        "api_key_expired", "api_key_revoked", "address_not_allowed", "referrer_not_allowed",
        "session_ended", "sign_in_elsewhere", "token_revoked",
    )
)  # fmt: skip


class Floods:
    """Counts by address in windows that begin with a refusal. Bounded; the oldest window makes room."""

    def __init__(self, tolerance: Rate | None, clock: Callable[[], float]) -> None:
        """`tolerance` None: of any number, and none is counted. `clock` in seconds."""
        self._amount, self._seconds = tolerance or (0, 0)
        self._clock = clock
        self._windows: dict[str, tuple[float, int]] = {}  # address → its end, refusals in it

    def __len__(self) -> int:
        return len(self._windows)

    def refused(self, peer: str, code: str) -> None:
        """Counts a refusal."""
        if code in EVERYDAY or not self._seconds:
            return
        client, now = client_of(peer), self._clock()
        end, count = self._windows.get(client, (0.0, 0))
        if not self._holds(end, now):
            self._windows.pop(client, None)  # a new window is the youngest
            if len(self._windows) >= ADDRESSES:
                del self._windows[next(iter(self._windows))]
            end, count = now + self._seconds, 0
        self._windows[client] = end, count + 1

    def check(self, peer: str) -> None:
        """Raises TooMany for an address that had too many refused; call it before work is done for it."""
        window = self._windows.get(client_of(peer))
        if window is None or window[1] < self._amount:
            return
        now = self._clock()
        if self._holds(window[0], now):
            text = "too many credentials from this address were refused; new ones are not looked at"
            raise TooMany(text, code="too_many_refusals", retry_after=max(1, math.ceil(window[0] - now)))

    def _holds(self, end: float, now: float) -> bool:
        return 0 < end - now <= self._seconds  # longer: the clock was set back
