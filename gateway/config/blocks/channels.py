"""`alerts:`: whom alerts are sent to, how, and when not."""

from __future__ import annotations

import re
from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator

from gateway.config.blocks import network as net
from gateway.config.blocks import scalars as of
from gateway.config.blocks.base import Block, Named, OneOrSome
from gateway.config.blocks.scalar import Scalar, one_of
from gateway.config.problems import Complaint
from gateway.destinations import MailTls

KINDS = ("webhook", "alertmanager", "email", "notify")
_HOURS = r"([01][0-9]|2[0-3]):([0-5][0-9])-([01][0-9]|2[0-3]):([0-5][0-9])"


def _hours(text: str) -> tuple[int, int]:
    """The seconds of the day at which they begin and end."""
    found = re.fullmatch(_HOURS, text, re.ASCII)
    if found is None:
        raise ValueError(text)
    first, second, third, fourth = map(int, found.groups())
    start, end = first * 3600 + second * 60, third * 3600 + fourth * 60
    if start == end:
        raise Complaint("begins when it ends; leave quiet out, or the channel", shown=text)
    return start, end


def _notify_url(text: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9+.-]*://[!-~]+", text):
        raise ValueError
    return text


def _batch(text: str) -> float:
    seconds = of.duration(text)
    if seconds > 3600:
        raise ValueError(text)
    return seconds


Hours = Annotated[
    tuple[int, int],
    Scalar("hours of the day, such as 22:00-07:00", _hours, {"type": "string", "pattern": f"^{_HOURS}$"}),
]
NotifyUrl = Annotated[
    str,
    Scalar(
        "a URL of apprise's, such as slack://TOKENS/#ops, as file:PATH or ${NAME}",
        _notify_url,
        {"type": "string", "pattern": "^[a-z][a-z0-9+.-]*://"},
        secret=True,
    ),
]
Tls = Annotated[MailTls, one_of(MailTls, make=MailTls)]
Batch = Annotated[float, Scalar("a duration up to 1h, such as 30s", _batch, of.SPAN)]


class Email(Block):
    server: net.Server
    """The mail server's address and port, such as smtp.example.com:587."""
    sender: of.Email
    """Whom messages are from."""
    to: OneOrSome[of.Email] | None = None
    """Whom to write to."""
    contacts: of.Flag = False
    """Whether to write to the contact of the account whose application it is, in place of `to`."""
    tls: Tls = MailTls.STARTTLS
    """starttls, implicit (from the first byte, port 465), or none."""
    ca: of.FilePath | None = None
    """A private CA's certificates; the system's if left out."""
    username: of.Text | None = None
    """Who logs in."""
    password: of.Secret | None = None
    """As file:PATH or ${NAME}."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.contacts == (self.to is not None):
            text = "cannot be beside contacts: a message would show one the other's address; make two channels"
            raise Complaint(text, at=("to",)) if self.contacts else Complaint("names nobody to write to (to contacts)")
        given = self._given("username", "password")
        if len(given) == 1:
            raise Complaint("needs both username and password", at=(given[0],))
        if given and self.tls is MailTls.NONE:
            raise Complaint("would be sent in clear; say tls: starttls or implicit", at=("password",))
        if self.ca is not None and self.tls is MailTls.NONE:
            raise Complaint("is only for TLS; say tls: starttls or implicit", at=("ca",))
        return self


class Quiet(Block):
    hours: Hours
    """From when to when alerts wait, such as 22:00-07:00."""
    time_zone: of.Zone = "UTC"
    """Whose hours."""

    short: ClassVar = "hours"


class Channel(Block):
    webhook: net.Hook | None = None
    """The URL to which alerts are posted."""
    secret: of.WebhookSecret | None = None
    """Signs what is posted to a webhook (Standard Webhooks); as file:PATH or ${NAME}."""
    alertmanager: net.Url | None = None
    """The URL of Prometheus' Alertmanager, without /api/v2/alerts."""
    token: of.Secret | None = None
    """What an Alertmanager behind a proxy wants (Authorization: Bearer); as file:PATH or ${NAME}."""
    email: Email | None = None
    """A mail server, and whom to write to."""
    notify: NotifyUrl | None = None
    """Slack, Teams, PagerDuty and others by apprise's URL; as file:PATH or ${NAME}."""
    batch: Batch | None = None
    """How long alerts are collected into one message; 30s for email, 10s for notify, else 0s, if left out."""
    quiet: Quiet | None = None
    """Hours in which alerts wait."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        kinds = self._given(*KINDS)
        if not kinds:
            raise Complaint(f"leads nowhere ({' '.join(KINDS)})")
        if len(kinds) > 1:
            raise Complaint(f"cannot be beside {kinds[0]}; make two channels", at=(kinds[1],))
        for name, kind in (("secret", "webhook"), ("token", "alertmanager")):
            if self._given(name) and kinds != [kind]:
                raise Complaint(f"is only for {kind}; leave it out", at=(name,))
        if self.batch is not None and self.webhook is not None:
            raise Complaint("is not for webhook, which gets each alert by itself; leave it out", at=("batch",))
        return self


class Alerting(Block):
    channels: Named[Channel] = Field(default_factory=dict)
    """Where plans send their alerts, besides the log."""
