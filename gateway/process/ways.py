"""Which channels an alert goes to, as the files say."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import httpx2

from gateway.alerts.channels import Channel, LogChannel
from gateway.alerts.notify import NotifyChannel
from gateway.alerts.post import AlertmanagerChannel, WebhookChannel
from gateway.alerts.records import whose
from gateway.alerts.ways import Way
from gateway.destinations import Alertmanager, Email, Notify, Webhook
from gateway.destinations import Channel as Declared
from gateway.model import Alert, Config


class Ways:
    """`take` a configuration before anything else."""

    def __init__(self, http: httpx2.AsyncClient, log: logging.Logger) -> None:
        self._http = http
        self._log = Way(LogChannel(log), always=True)
        self._config = Config()
        self._ways: dict[str, Way] = {}  # by name; NAME/ACCOUNT for a contact

    def take(self, config: Config) -> None:
        """Channels for what is delivered from now on."""
        self._config = config
        self._ways = {}
        for declared in config.channels.values():
            if _to_contacts(declared):
                for account in config.accounts.values():
                    if account.email is not None:
                        self._add(declared, f"{declared.name}/{account.name}", account.email)
            else:
                self._add(declared, declared.name)

    def of(self, alert: Alert) -> Sequence[Way]:
        """The log, its plan's channels, and its account's contact where one of these writes to contacts."""
        plan = self._config.plans.get(alert.plan)
        contact = self._account(alert)
        names = [name for channel in (plan.channels if plan else ()) for name in (channel, f"{channel}/{contact}")]
        return [self._log, *(self._ways[name] for name in names if name in self._ways)]

    def named(self, name: str) -> Way:
        """Raises KeyError with a sentence."""
        if name in self._ways:
            return self._ways[name]
        if name in self._config.channels:
            raise KeyError(f"{name} writes to accounts' contacts; name one, as {name}/ACCOUNT")
        raise KeyError(f"no channel is called {name}")

    def _account(self, alert: Alert) -> str | None:
        """Whose application it is; the account itself where its applications are counted together."""
        scope, name = whose(alert)
        if scope.startswith("account:"):
            return scope.removeprefix("account:")
        application = self._config.applications.get(name)
        return None if application is None else application.account

    def _add(self, declared: Declared, name: str, *to: str) -> None:
        self._ways[name] = Way(self._channel(declared, name, to), declared.batch, declared.quiet)

    def _channel(self, declared: Declared, name: str, to: Sequence[str]) -> Channel:
        match declared.to:
            case Webhook(url=url, secret=secret):
                return WebhookChannel(name, url, secret, self._http)
            case Alertmanager(url=url, token=token):
                return AlertmanagerChannel(name, url, token, self._http)
            case Email() as email:
                from gateway.alerts.mail import EmailChannel  # for a library that most do without

                return EmailChannel(name, email, to)
            case Notify(url=url):
                return NotifyChannel(name, url)


def _to_contacts(declared: Declared) -> bool:
    return isinstance(declared.to, Email) and not declared.to.to
