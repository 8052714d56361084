"""One attempt at a delivery, against receivers that work, fail, hang, redirect and lie."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx2
import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from gateway.alerts.channels import LogChannel, NotDelivered
from gateway.alerts.post import WebhookChannel
from gateway.alerts.wording import event_of
from gateway.devkit.receiver import make_secret
from gateway.model import Alert

SECRET = make_secret()

Make = Callable[..., WebhookChannel]


@pytest.fixture
def channel(hook: Any, client: httpx2.AsyncClient) -> Make:
    def make(url: str = hook.url, secret: str | None = SECRET, **options: Any) -> WebhookChannel:
        return WebhookChannel("ops", url, secret, client, **options)

    return make


async def failure_of(channel: WebhookChannel, alert: Alert) -> NotDelivered:
    with pytest.raises(NotDelivered) as caught:
        await channel.send([alert])
    return caught.value


@contextlib.asynccontextmanager
async def liar(speak: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]) -> AsyncIterator[str]:
    """A server that says what it likes; gives its URL."""
    conversations: list[asyncio.Task[Any]] = []

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        conversations.extend(filter(None, [asyncio.current_task()]))
        with contextlib.suppress(OSError, asyncio.CancelledError):
            await speak(reader, writer)
        writer.transport.abort()

    async with await asyncio.start_server(converse, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
    for conversation in conversations:
        conversation.cancel()
    await asyncio.gather(*conversations)
    await asyncio.sleep(0)  # the aborted transports close


async def test_a_receiver_can_verify_who_sent_what(channel: Make, hook: Any, make_alert: Callable[..., Alert]) -> None:
    alert = make_alert("crossing-1")
    await channel().send([alert])
    [(headers, body)] = hook.received
    assert Webhook(SECRET).verify(body, headers) == event_of(alert)
    assert headers["webhook-id"] == "crossing-1"
    assert headers["content-type"] == "application/json"
    assert abs(time.time() - int(headers["webhook-timestamp"])) < 10


async def test_another_secret_or_body_is_found_out(channel: Make, hook: Any, make_alert: Callable[..., Alert]) -> None:
    await channel().send([make_alert()])
    [(headers, body)] = hook.received
    with pytest.raises(WebhookVerificationError):
        Webhook(make_secret()).verify(body, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(body.replace(b"mobile", b"forged"), headers)


async def test_each_attempt_has_its_own_time_and_the_same_id(
    channel: Make, hook: Any, clock: Any, make_alert: Callable[..., Alert]
) -> None:
    ops = channel(clock=clock)
    await ops.send([make_alert()])
    await clock.advance(3600)
    await ops.send([make_alert()])
    first, second = (headers for headers, _ in hook.received)
    assert first["webhook-id"] == second["webhook-id"]
    assert int(second["webhook-timestamp"]) - int(first["webhook-timestamp"]) == 3600
    assert first["webhook-signature"] != second["webhook-signature"]


async def test_without_a_secret_there_is_no_signature(
    channel: Make, hook: Any, make_alert: Callable[..., Alert]
) -> None:
    await channel(secret=None).send([make_alert()])
    [(headers, _)] = hook.received
    assert "webhook-signature" not in headers
    assert headers["webhook-id"] == "a1"


@pytest.mark.parametrize("status", [200, 201, 202, 204])
async def test_any_2xx_is_a_delivery(status: int, channel: Make, hook: Any, make_alert: Callable[..., Alert]) -> None:
    hook.script = [status]
    await channel().send([make_alert()])
    assert hook.ids == ["a1"]


@pytest.mark.parametrize(("status", "final"), [(400, False), (404, False), (429, False), (500, False), (410, True)])
async def test_other_answers_are_failures_and_only_gone_is_final(
    status: int, final: bool, channel: Make, hook: Any, make_alert: Callable[..., Alert]
) -> None:
    hook.script = [status]
    failure = await failure_of(channel(), make_alert())
    assert (str(failure), failure.final) == (f"answered {status}", final)


async def test_a_redirect_is_not_followed(channel: Make, hook: Any, make_alert: Callable[..., Alert]) -> None:
    hook.script = ["redirect"]
    failure = await failure_of(channel(), make_alert())
    assert (str(failure), failure.final, hook.redirected) == ("answered 307", False, 0)


async def test_a_receiver_that_never_answers_is_left(
    channel: Make, hook: Any, make_alert: Callable[..., Alert]
) -> None:
    hook.script = ["hang"]
    failure = await failure_of(channel(timeout=0.05), make_alert())
    assert "Timeout" in str(failure) and not failure.final


async def test_a_body_that_never_ends_is_not_read(channel: Make, hook: Any, make_alert: Callable[..., Alert]) -> None:
    hook.script = ["endless"]
    async with asyncio.timeout(2):
        await channel().send([make_alert()])


@pytest.mark.parametrize(
    "lie",
    [
        b"",
        b"200 fine\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"HTTP/1.1 200 " + b"x" * 200_000,
        b"\x16\x03\x01\x02\x00",
    ],
)
async def test_an_answer_that_is_not_http_is_a_failure(
    lie: bytes, channel: Make, make_alert: Callable[..., Alert]
) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(lie)
        await writer.drain()
        writer.write_eof()
        await reader.read()

    async with liar(answer) as url:
        failure = await failure_of(channel(url=url), make_alert())
    assert not failure.final


async def test_an_answer_that_drips_is_left_in_time(channel: Make, make_alert: Callable[..., Alert]) -> None:
    async def drip(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            await writer.drain()
            await asyncio.sleep(0.005)

    async with liar(drip) as url, asyncio.timeout(2):
        assert str(await failure_of(channel(url=url, timeout=0.1), make_alert())) == "TimeoutError"


async def test_a_failure_does_not_tell_the_url(channel: Make, make_alert: Callable[..., Alert]) -> None:
    failure = await failure_of(channel(url="http://127.0.0.1:1/T0/secret-path"), make_alert())
    assert str(failure) == "ConnectError"


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_!!!", "whsec_a"])
def test_a_secret_that_is_none_is_refused_without_being_told(secret: str, channel: Make) -> None:
    with pytest.raises(ValueError, match="channel ops: the secret is not whsec_ and base64; make one with") as caught:
        channel(secret=secret)
    assert "!!!" not in str(caught.value)


async def test_the_log_is_a_channel_too(caplog: pytest.LogCaptureFixture, make_alert: Callable[..., Alert]) -> None:
    await LogChannel(logging.getLogger("gateway.alerts")).send([make_alert()])
    [record] = caplog.records
    assert (record.levelname, record.getMessage()) == ("WARNING", "hits per minute: 8/10 (80 %)")
    assert record.__dict__["alert"]["application"] == "mobile"
