"""The words of the book of alerts: how an alert stands, and what is silenced."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

from gateway.alerts.wording import event_of, rfc3339
from gateway.model import Alert


class State(StrEnum):
    """Of an alert, or of its delivery on one channel."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    FAILED = "failed"  # given up: a dead letter
    SILENCED = "silenced"
    ACKNOWLEDGED = "acknowledged"


class Try(NamedTuple):
    """How it stands on one channel; `reason` of the latest failure, or why it waits."""

    state: State
    at: float
    attempts: int = 0
    reason: str = ""


@dataclass(slots=True)
class Record:
    """An alert, and how it stands. `by` is who acknowledged it."""

    alert: Alert
    state: State = State.WAITING
    at: float = 0.0
    channels: dict[str, Try] = field(default_factory=dict)
    by: str = ""

    def text(self) -> str:
        """JSON, for the store."""
        return json.dumps([self.alert, self.state, self.at, self.channels])

    @classmethod
    def parse(cls, text: str | bytes) -> Record:
        """Raises ValueError or TypeError for what `text` never made."""
        alert, state, at, channels = json.loads(text)
        tries = {name: Try(State(found[0]), *found[1:]) for name, found in channels.items()}
        return cls(Alert(*alert), State(state), float(at), tries)

    @property
    def unsent(self) -> list[str]:
        """The channels that do not have it."""
        return [name for name, found in self.channels.items() if found.state is not State.DELIVERED]

    def told(self) -> dict[str, Any]:
        """For people and programs."""
        channels = {name: {**found._asdict(), "at": rfc3339(found.at)} for name, found in self.channels.items()}
        about = {**event_of(self.alert)["data"], "raised_at": rfc3339(self.alert.raised_at)}
        who = {"by": self.by} if self.by else {}
        return {**about, "state": self.state, "at": rfc3339(self.at), **who, "channels": channels}


class Silence(NamedTuple):
    """Alerts that go to no channel until `until` (Unix seconds); None: whatever it is."""

    id: str
    until: float
    application: str | None = None  # its clients, users and addresses too
    plan: str | None = None
    metric: str | None = None
    comment: str = ""

    def matches(self, alert: Alert, now: float) -> bool:
        """Whether it holds for an alert."""
        wanted = ((self.plan, alert.plan), (self.metric, alert.metric))
        same = all(want is None or want == has for want, has in wanted)
        return now < self.until and same and (self.application is None or self.application in whose(alert))

    def told(self) -> dict[str, Any]:
        """For people and programs."""
        return {**self._asdict(), "until": rfc3339(self.until)}


def whose(alert: Alert) -> tuple[str, ...]:
    """The scope, and the application in it: `user:mobile/alice` and `customers/shop-app` are of mobile, customers."""
    kind, colon, rest = alert.application.partition(":")
    inside = rest if colon and kind in ("user", "address") else alert.application
    return alert.application, inside.partition("/")[0]
