"""Where an alert is delivered: the log, and signed webhooks."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol

import httpx2
from standardwebhooks.webhooks import EmptyWebhookSecretError, Webhook

from gateway.alerts.wording import event_of, text_of
from gateway.model import Alert

TIMEOUT = 10.0  # seconds for one attempt, from the name's resolution to the answer's head


class NotDelivered(Exception):
    """An attempt failed. `final`: trying again is pointless. The text holds no URL: its path may be a secret."""

    def __init__(self, reason: str, *, final: bool = False) -> None:
        super().__init__(reason)
        self.final = final


class Channel(Protocol):
    """A way to somebody who wants to know."""

    name: str

    async def send(self, alert: Alert) -> None:
        """Deliver, or raise NotDelivered. May be called again for the same alert."""


class LogChannel:
    """One line in the process's log for each alert."""

    name = "log"

    def __init__(self, log: logging.Logger) -> None:
        self._log = log

    async def send(self, alert: Alert) -> None:
        """Write the alert with its fields."""
        self._log.warning(text_of(alert), extra={"alert": event_of(alert)["data"]})


class WebhookChannel:
    """Posts alerts, signed as Standard Webhooks says (https://www.standardwebhooks.com)."""

    def __init__(
        self,
        name: str,
        url: str,
        secret: str | None,
        client: httpx2.AsyncClient,
        *,
        clock: Callable[[], float] = time.time,
        timeout: float = TIMEOUT,
    ) -> None:
        """`secret` as `whsec_` and base64, or None for no signature; raises ValueError for one that is neither."""
        self.name = name
        self._url = url
        self._webhook = None if secret is None else webhook_of(name, secret)
        self._client = client
        self._clock = clock
        self._timeout = timeout

    async def send(self, alert: Alert) -> None:
        """Any 2xx is a delivery, 410 wants no more of them (final), all else may be tried again."""
        status = await self._post(alert)
        if not 200 <= status < 300:
            raise NotDelivered(f"answered {status}", final=status == 410)

    async def _post(self, alert: Alert) -> int:
        body = json.dumps(event_of(alert), separators=(",", ":"))
        headers = {"Content-Type": "application/json", **self._signed(alert.id, body)}
        try:
            async with (
                asyncio.timeout(self._timeout),
                self._client.stream(
                    "POST", self._url, content=body, headers=headers, follow_redirects=False, timeout=self._timeout
                ) as answer,
            ):
                return answer.status_code  # the body is left unread: it may never end
        except (httpx2.HTTPError, OSError) as error:  # TimeoutError is an OSError
            raise NotDelivered(type(error).__name__) from error

    def _signed(self, message_id: str, body: str) -> dict[str, str]:
        """The three headers; the timestamp is the attempt's, so that a receiver can refuse what was replayed."""
        now = datetime.fromtimestamp(self._clock(), UTC)
        headers = {"webhook-id": message_id, "webhook-timestamp": str(int(now.timestamp()))}
        if self._webhook is not None:
            headers["webhook-signature"] = self._webhook.sign(message_id, now, body)
        return headers


def webhook_of(name: str, secret: str) -> Webhook:
    """A signer; raises ValueError that names the channel and not the secret."""
    try:
        return Webhook(secret)
    except (ValueError, EmptyWebhookSecretError):
        cure = "make one with: echo whsec_$(openssl rand -base64 32)"
        raise ValueError(f"channel {name}: the secret is not whsec_ and base64; {cure}") from None
