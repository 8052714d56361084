"""Channels that post JSON: signed webhooks, and Prometheus' Alertmanager."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import httpx2
from standardwebhooks.webhooks import EmptyWebhookSecretError, Webhook

from gateway.alerts.channels import TIMEOUT, NotDelivered
from gateway.alerts.wording import event_of, rfc3339, text_of
from gateway.model import Alert, AlertKind

AT_ONCE = 100  # alerts in one call of an Alertmanager
FOREVER = 7 * 86_400.0  # seconds that an alert fires whose window never ends, as no other than we could end it


class WebhookChannel:
    """Posts alerts, signed as Standard Webhooks says (https://www.standardwebhooks.com)."""

    most = 1

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

    async def send(self, alerts: Sequence[Alert]) -> None:
        """Any 2xx is a delivery, 410 wants no more of them (final), all else may be tried again."""
        for alert in alerts:
            body = json.dumps(event_of(alert), separators=(",", ":"))
            status = await post(self._client, self._url, body, self._signed(alert.id, body), self._timeout)
            if not 200 <= status < 300:
                raise NotDelivered(f"answered {status}", final=status == 410)

    def _signed(self, message_id: str, body: str) -> dict[str, str]:
        """The three headers; the timestamp is the attempt's, so that a receiver can refuse what was replayed."""
        now = datetime.fromtimestamp(self._clock(), UTC)
        headers = {"webhook-id": message_id, "webhook-timestamp": str(int(now.timestamp()))}
        if self._webhook is not None:
            headers["webhook-signature"] = self._webhook.sign(message_id, now, body)
        return headers


class AlertmanagerChannel:
    """Posts to an Alertmanager's API v2. An alert fires from when it was raised to the end of its window."""

    most = AT_ONCE

    def __init__(
        self, name: str, url: str, token: str | None, client: httpx2.AsyncClient, *, timeout: float = TIMEOUT
    ) -> None:
        """`url` as in Prometheus' configuration, without `/api/v2/alerts`."""
        self.name = name
        self._url = f"{url}/api/v2/alerts"
        self._headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        self._client = client
        self._timeout = timeout

    async def send(self, alerts: Sequence[Alert]) -> None:
        """Any 2xx is a delivery; all else may be tried again."""
        body = json.dumps([posted(alert) for alert in alerts], separators=(",", ":"))
        status = await post(self._client, self._url, body, self._headers, self._timeout)
        if not 200 <= status < 300:
            raise NotDelivered(f"answered {status}")


def posted(alert: Alert) -> dict[str, Any]:
    """An alert as Alertmanager wants it. What is counted is in the labels, which identify it there, and groups by.

    The window is one of them: the next one's alert is another, also where it begins before this one was forgotten. What
    is told when the window has ended is the same alert, resolved.
    """
    end = alert.raised_at + FOREVER if alert.window_end is None else alert.window_end
    data = event_of(alert)["data"]
    forecast = alert.kind == AlertKind.FORECAST
    return {
        "labels": {
            "alertname": "UsageForecast" if forecast else "UsageThresholdReached",
            "application": alert.application,
            "plan": alert.plan,
            "metric": alert.metric,
            "period": alert.period,
            "threshold": "forecast" if forecast else str(alert.bin),
            "window_start": data["window"]["start"],
            "severity": "critical" if alert.bin >= 100 else "warning",
        },
        "annotations": {
            "summary": f"{alert.application}: {text_of(alert)}",
            "id": alert.id,
            "limit": str(alert.value),
            "used": str(alert.spent),
            **({} if alert.refused is None else {"refused": str(alert.refused)}),
        },
        "startsAt": rfc3339(alert.raised_at),
        "endsAt": rfc3339(max(end, alert.raised_at)),
    }


async def post(client: httpx2.AsyncClient, url: str, body: str, headers: Mapping[str, str], seconds: float) -> int:
    """The status of the answer; its body is left unread, as it may never end. Raises NotDelivered."""
    fields = {"Content-Type": "application/json", **headers}
    try:
        async with (
            asyncio.timeout(seconds),
            client.stream("POST", url, content=body, headers=fields, follow_redirects=False, timeout=seconds) as answer,
        ):
            return answer.status_code
    except (httpx2.HTTPError, OSError) as error:  # TimeoutError is an OSError
        raise NotDelivered(type(error).__name__) from error


def webhook_of(name: str, secret: str) -> Webhook:
    """A signer; raises ValueError that names the channel and not the secret."""
    try:
        return Webhook(secret)
    except (ValueError, EmptyWebhookSecretError):
        cure = "make one with: echo whsec_$(openssl rand -base64 32)"
        raise ValueError(f"channel {name}: the secret is not whsec_ and base64; {cure}") from None
