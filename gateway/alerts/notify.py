"""Slack, Teams, PagerDuty and others through apprise (https://github.com/caronc/apprise), an optional library."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

from gateway.alerts.channels import NotDelivered
from gateway.alerts.wording import digest, headline
from gateway.model import Alert

TIMEOUT = 30.0  # seconds for one attempt
MOST = 20  # alerts in one message; chats cut long ones


class NotifyChannel:
    """Tells one service. Its URL holds credentials, so nothing of what the library says is kept."""

    most = MOST

    def __init__(self, name: str, url: str, *, timeout: float = TIMEOUT) -> None:
        self.name = name
        self._url = url
        self._timeout = timeout
        self._service: Any = None

    async def send(self, alerts: Sequence[Alert]) -> None:
        """Delivered when the service has taken it; all else may be tried again."""
        try:
            async with asyncio.timeout(self._timeout):
                taken = await asyncio.to_thread(self._tell, headline(alerts), digest(alerts))
        except TimeoutError as error:
            raise NotDelivered("TimeoutError") from error
        if not taken:
            raise NotDelivered("not taken by the service")

    def _tell(self, title: str, body: str) -> bool:
        """In a thread: the library blocks, and takes a while to load."""
        if self._service is None:
            self._service = _service(self._url)
        return bool(self._service.notify(title=title, body=body, notify_type="warning", body_format="text"))


def _service(url: str) -> Any:
    from apprise import Apprise, AppriseAsset

    logging.getLogger("apprise").disabled = True
    service = Apprise(asset=AppriseAsset(app_id="gateway", app_desc="gateway"))
    service.add(url)
    return service
