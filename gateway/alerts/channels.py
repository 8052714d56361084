"""What every channel is, and the log."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Protocol

from gateway.alerts.wording import event_of, text_of
from gateway.model import Alert

TIMEOUT = 10.0  # seconds for one attempt, from the name's resolution to the answer's head


class NotDelivered(Exception):
    """An attempt failed. `final`: trying again is pointless. The text holds no URL: its path may be a secret."""

    def __init__(self, reason: str, *, final: bool = False) -> None:
        super().__init__(reason)
        self.final = final


class Channel(Protocol):
    """A way to somebody who wants to know. `most` is how many alerts a message may hold."""

    name: str
    most: int

    async def send(self, alerts: Sequence[Alert]) -> None:
        """Deliver all of them, or raise NotDelivered. May be called again for the same alerts."""


class LogChannel:
    """One line in the process's log for each alert."""

    name = "log"
    most = 1

    def __init__(self, log: logging.Logger) -> None:
        self._log = log

    async def send(self, alerts: Sequence[Alert]) -> None:
        """Write each alert with its fields."""
        for alert in alerts:
            self._log.warning(text_of(alert), extra={"alert": event_of(alert)["data"]})
