"""Alerts by e-mail (RFC 5321, RFC 5322): one message for all that are due."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid

import aiosmtplib

from gateway.alerts.channels import NotDelivered
from gateway.alerts.wording import digest, headline
from gateway.destinations import Email, MailTls
from gateway.model import Alert

TIMEOUT = 30.0  # seconds for one attempt; servers that look up who is calling take a while
MOST = 200  # alerts in one message


class EmailChannel:
    """Writes to the addresses of `email.to`, or to `to` in their place."""

    most = MOST

    def __init__(self, name: str, email: Email, to: Sequence[str] = (), *, timeout: float = TIMEOUT) -> None:
        self.name = name
        self._email = email
        self._to = tuple(to) or email.to
        self._timeout = timeout

    async def send(self, alerts: Sequence[Alert]) -> None:
        """Delivered when the server has taken it for everybody. Whatever it says instead, it is tried again."""
        try:
            async with asyncio.timeout(self._timeout):
                await self._send(self._message(alerts))
        except aiosmtplib.SMTPResponseException as error:
            raise NotDelivered(f"answered {error.code}") from None  # its text may repeat what was sent
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            raise NotDelivered(type(error).__name__) from None

    async def _send(self, message: EmailMessage) -> None:
        email = self._email
        refused, _ = await aiosmtplib.send(
            message,
            sender=email.sender,
            recipients=self._to,
            hostname=email.host,
            port=email.port,
            username=email.username,
            password=email.password,
            use_tls=email.tls is MailTls.IMPLICIT,
            start_tls=email.tls is MailTls.STARTTLS,
            tls_context=None if email.tls is MailTls.NONE else ssl.create_default_context(cafile=email.ca),
            timeout=self._timeout,
        )
        if refused:
            raise NotDelivered(f"refused for {len(refused)} of {len(self._to)} recipients")

    def _message(self, alerts: Sequence[Alert]) -> EmailMessage:
        message = EmailMessage()
        message["From"] = self._email.sender
        message["To"] = ", ".join(self._to)
        message["Subject"] = f"[gateway] {headline(alerts)}"
        message["Date"] = format_datetime(datetime.now(UTC))
        message["Message-ID"] = make_msgid(idstring=alerts[0].id[:8], domain="gateway.invalid")
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody's holiday answers it
        message.set_content(digest(alerts))
        return message
