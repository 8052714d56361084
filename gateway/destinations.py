"""Where alerts go, as the files declare it: frozen, standard library only."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """Posted to, one alert at a time."""

    url: str = field(repr=False)
    secret: str | None = field(default=None, repr=False)  # Standard Webhooks: whsec_…


@dataclass(frozen=True, slots=True, kw_only=True)
class Alertmanager:
    """Prometheus' Alertmanager; `url` without `/api/v2/alerts`."""

    url: str = field(repr=False)
    token: str | None = field(default=None, repr=False)  # Authorization: Bearer


class MailTls(StrEnum):
    """How a mail server is spoken to."""

    STARTTLS = "starttls"
    IMPLICIT = "implicit"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Email:
    """A mail server, and whom to write to; nobody in `to`: the contact of each application's account."""

    host: str
    port: int
    sender: str
    to: tuple[str, ...] = ()
    tls: MailTls = MailTls.STARTTLS
    ca: Path | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Notify:
    """A service that apprise (https://github.com/caronc/apprise) speaks to; the URL holds its credentials."""

    url: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Quiet:
    """Hours without alerts, in seconds of the day in `zone`; over midnight where `start` is after `end`."""

    start: int
    end: int
    zone: str = "UTC"


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """A way to somebody who wants to know. `batch`: seconds for which alerts are collected into one message."""

    name: str
    to: Webhook | Alertmanager | Email | Notify
    quiet: Quiet | None = None
    batch: float = 0.0
