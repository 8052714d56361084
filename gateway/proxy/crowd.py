"""How many connections clients have, in all and each. Who is one too many is told so, while there is room for that."""

from __future__ import annotations

from collections import Counter

from gateway.errors import GatewayError, TooMany, Unavailable
from gateway.model import ClientLimits

RETRY_AFTER = 5  # seconds
REASONS = ("connections", "client_connections", "unanswered", "handshake", "proxy_protocol")
TOLD = 256  # connections that are being turned away with a word; more are cut without one


class Crowd:
    """Counts by client; who is turned away takes nobody's place. `refused` counts since the start, by reason."""

    def __init__(self) -> None:
        self.inside = 0
        self.turned_away = 0
        self.refused = Counter(dict.fromkeys(REASONS, 0))
        self._of: dict[str, int] = {}

    def enter(self, client: str, limits: ClientLimits, *, trusted: bool = False) -> GatewayError | None:
        """A new connection: None where it is inside, else why not. A trusted proxy may have all that there are."""
        mine = self._of.get(client, 0)
        most = limits.connections if trusted else limits.client_connections
        if self.inside < limits.connections and mine < most:
            self._of[client] = mine + 1
            self.inside += 1
            return None
        self.turned_away += 1
        if mine >= most and not trusted:
            self.refused["client_connections"] += 1
            return TooMany("too many connections from this address", retry_after=RETRY_AFTER)
        self.refused["connections"] += 1
        detail = "the gateway has too many connections"
        return Unavailable(detail, code="connections_exhausted", retry_after=RETRY_AFTER)

    def may_tell(self) -> bool:
        """Whether the one that was turned away last may stay for its answer."""
        told = self.turned_away <= TOLD
        self.refused["unanswered"] += not told
        return told

    def count(self, reason: str) -> None:
        """One that is cut without a word."""
        self.refused[reason] += 1

    def leave(self, client: str) -> None:
        """A connection that was inside is gone; "": one that was turned away."""
        if not client:
            self.turned_away -= 1
            return
        self.inside -= 1
        left = self._of.pop(client) - 1
        if left:
            self._of[client] = left
