"""Alerts by e-mail, taken by a real server: with and without TLS, with a login, and by one that refuses."""

from __future__ import annotations

import asyncio
import email
import email.policy
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
import trustme
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

from gateway.alerts.channels import NotDelivered
from gateway.alerts.mail import EmailChannel
from gateway.destinations import Email, MailTls
from gateway.model import Alert

TIMEOUTS = ("TimeoutError", "SMTPConnectTimeoutError", "SMTPReadTimeoutError")
PASSWORD = "correct horse hunter2"

Make = Callable[..., Alert]


class Mailbox:
    """What the server took; `refusal` is what it answers instead, at the end of the message or for recipients."""

    def __init__(self) -> None:
        self.messages: list[EmailMessage] = []
        self.recipients: list[list[str]] = []
        self.secured: list[bool] = []
        self.users: list[str] = []
        self.refusal = ""
        self.refused: set[str] = set()

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:  # noqa: N802
        if address in self.refused:
            return "550 no such user hunter2"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        if self.refusal:
            return self.refusal
        parsed = email.message_from_bytes(envelope.content, policy=email.policy.default)
        assert isinstance(parsed, EmailMessage)
        self.messages.append(parsed)
        self.recipients.append(envelope.rcpt_tos)
        self.secured.append(session.ssl is not None)
        return "250 taken"

    def login(self, server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        good = isinstance(data, LoginPassword) and data.password == PASSWORD.encode()
        if good:
            self.users.append(data.login.decode())
        return AuthResult(success=good, handled=False)


@asynccontextmanager
async def server(mailbox: Mailbox, *, implicit: ssl.SSLContext | None = None, **options: Any) -> AsyncIterator[int]:
    """A mail server on a free port of 127.0.0.1, which it gives."""
    loop = asyncio.get_running_loop()
    here = await loop.create_server(
        lambda: SMTP(mailbox, hostname="mail", loop=loop, **options), "127.0.0.1", 0, ssl=implicit
    )
    async with here:
        yield here.sockets[0].getsockname()[1]


@pytest.fixture
def mailbox() -> Mailbox:
    return Mailbox()


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ssl.SSLContext]:
    """A private CA's certificate, and a server's context."""
    ca = trustme.CA()
    path = tmp_path_factory.mktemp("mail") / "ca.pem"
    ca.cert_pem.write_to_path(path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    ca.issue_cert("127.0.0.1").configure_cert(context)
    return path, context


def plain(port: int, **changes: Any) -> EmailChannel:
    to = changes.pop("to", ("ops@example.com",))
    tls = changes.pop("tls", MailTls.NONE)
    timeout = changes.pop("timeout", 5.0)
    settings = Email(host="127.0.0.1", port=port, sender="gateway@example.com", to=to, tls=tls, **changes)
    return EmailChannel("mail", settings, timeout=timeout)


async def failure_of(channel: EmailChannel, alert: Alert) -> str:
    with pytest.raises(NotDelivered) as caught:
        await channel.send([alert])
    assert not caught.value.final
    return str(caught.value)


async def test_one_alert_is_a_message_of_its_own(mailbox: Mailbox, make_alert: Make) -> None:
    async with server(mailbox) as port:
        await plain(port).send([make_alert()])
    [message] = mailbox.messages
    assert message["Subject"] == "[gateway] mobile: hits per minute: 8/10 (80 %)"
    assert (message["From"], message["To"]) == ("gateway@example.com", "ops@example.com")
    assert (message["Auto-Submitted"], message["Date"] is not None) == ("auto-generated", True)
    assert message.get_content().splitlines() == [
        "mobile: hits per minute: 8/10 (80 %)",
        "plan gold, threshold 80 %, reached 2026-10-26T07:33:20.000Z",
        "window from 2026-10-26T07:33:00.000Z to 2026-10-26T07:34:00.000Z",
        "alert a1",
    ]


async def test_a_burst_is_one_message(mailbox: Mailbox, make_alert: Make) -> None:
    async with server(mailbox) as port:
        await plain(port).send([make_alert(f"a{number}", application=f"app-{number % 3}") for number in range(50)])
    [message] = mailbox.messages
    assert message["Subject"] == "[gateway] 50 alerts of 3 applications"
    assert message.get_content().count("\nalert a") == 50


async def test_starttls_and_a_login(
    mailbox: Mailbox, certificates: tuple[Path, ssl.SSLContext], make_alert: Make
) -> None:
    ca, context = certificates
    options = {"tls_context": context, "require_starttls": True, "auth_required": True, "authenticator": mailbox.login}
    async with server(mailbox, **options) as port:
        await plain(port, tls=MailTls.STARTTLS, ca=ca, username="gw", password=PASSWORD).send([make_alert()])
    assert (mailbox.secured, mailbox.users) == ([True], ["gw"])


async def test_tls_from_the_first_byte(
    mailbox: Mailbox, certificates: tuple[Path, ssl.SSLContext], make_alert: Make
) -> None:
    ca, context = certificates
    async with server(mailbox, implicit=context) as port:
        await plain(port, tls=MailTls.IMPLICIT, ca=ca).send([make_alert()])
    assert len(mailbox.messages) == 1


async def test_a_server_that_has_no_starttls_gets_neither_login_nor_message(mailbox: Mailbox, make_alert: Make) -> None:
    options = {"auth_require_tls": False, "authenticator": mailbox.login}
    async with server(mailbox, **options) as port:
        reason = await failure_of(plain(port, tls=MailTls.STARTTLS, username="gw", password=PASSWORD), make_alert())
    assert reason == "SMTPException"
    assert (mailbox.users, mailbox.messages) == ([], [])


async def test_a_certificate_of_another_ca_is_not_believed(
    mailbox: Mailbox, certificates: tuple[Path, ssl.SSLContext], make_alert: Make
) -> None:
    async with server(mailbox, tls_context=certificates[1]) as port:
        reason = await failure_of(plain(port, tls=MailTls.STARTTLS), make_alert())
    assert "hunter2" not in reason
    assert mailbox.messages == []


async def test_a_wrong_password_is_told_without_it(
    mailbox: Mailbox, certificates: tuple[Path, ssl.SSLContext], make_alert: Make
) -> None:
    ca, context = certificates
    options = {"tls_context": context, "auth_required": True, "authenticator": mailbox.login}
    async with server(mailbox, **options) as port:
        channel = plain(port, tls=MailTls.STARTTLS, ca=ca, username="gw", password="hunter2")
        reason = await failure_of(channel, make_alert())
    assert reason == "answered 535"


async def test_a_server_that_refuses_is_tried_again(mailbox: Mailbox, make_alert: Make) -> None:
    mailbox.refusal = "451 hunter2: try later"
    async with server(mailbox) as port:
        assert await failure_of(plain(port), make_alert()) == "answered 451"


async def test_a_message_that_one_recipient_does_not_get_is_not_delivered(mailbox: Mailbox, make_alert: Make) -> None:
    mailbox.refused = {"gone@example.com"}
    async with server(mailbox) as port:
        two = plain(port, to=("ops@example.com", "gone@example.com"))
        assert await failure_of(two, make_alert()) == "refused for 1 of 2 recipients"
        assert await failure_of(plain(port, to=("gone@example.com",)), make_alert()) == "SMTPRecipientsRefused"


async def test_a_server_that_hangs_is_left_in_time(make_alert: Make) -> None:
    left = asyncio.Event()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.transport.abort()
        left.set()

    async with await asyncio.start_server(listen, "127.0.0.1", 0) as silent:
        port = silent.sockets[0].getsockname()[1]
        async with asyncio.timeout(3):
            assert await failure_of(plain(port, timeout=0.1), make_alert()) in TIMEOUTS
            await left.wait()


async def test_where_nobody_listens_it_is_a_failure(make_alert: Make) -> None:
    assert await failure_of(plain(1), make_alert()) == "SMTPConnectError"


async def test_a_name_that_a_client_chose_makes_no_header(mailbox: Mailbox, make_alert: Make) -> None:
    evil = "user:mobile/x\r\nBcc: everybody@example.com\r\n\r\n\ud800<b>"
    async with server(mailbox) as port:
        await plain(port).send([make_alert(application=evil)])
    [message] = mailbox.messages
    assert mailbox.recipients == [["ops@example.com"]]
    assert "Bcc" not in message
    assert "Bcc: everybody@example.com" in message.get_content().splitlines()[0]
