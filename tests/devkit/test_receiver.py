"""The webhook receiver: signed messages are kept once, all others refused."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
import pytest_asyncio
from standardwebhooks import Webhook

from gateway.devkit.receiver import Receiver, make_secret

ALERT = {"type": "limit.reached", "data": {"bin": 80}}


@pytest.fixture
def secret() -> str:
    return make_secret()


@pytest.fixture
def receiver(secret: str) -> Receiver:
    return Receiver(secret)


@pytest_asyncio.fixture
async def http(receiver: Receiver) -> AsyncIterator[httpx2.AsyncClient]:
    transport = httpx2.ASGITransport(app=receiver.app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://receiver") as client:
        yield client


def signed(secret: str, body: str, message: str = "msg_1", age: timedelta = timedelta()) -> dict[str, Any]:
    """Arguments of a POST, signed as Standard Webhooks demands."""
    sent = datetime.now(UTC) - age
    headers = {
        "webhook-id": message,
        "webhook-timestamp": str(int(sent.timestamp())),
        "webhook-signature": Webhook(secret).sign(message, sent, body),
    }
    return {"content": body, "headers": headers}


async def test_a_signed_message_is_remembered(http: httpx2.AsyncClient, secret: str, receiver: Receiver) -> None:
    answer = await http.post("/alerts", **signed(secret, json.dumps(ALERT)))
    assert answer.status_code == 204
    assert receiver.messages == [ALERT]
    assert (await http.get("/alerts")).json() == [ALERT]


async def test_a_message_delivered_twice_is_one(http: httpx2.AsyncClient, secret: str, receiver: Receiver) -> None:
    for _ in range(2):
        assert (await http.post("/alerts", **signed(secret, json.dumps(ALERT)))).status_code == 204
    assert len(receiver.messages) == 1


async def test_another_secrets_signature_is_refused(http: httpx2.AsyncClient, receiver: Receiver) -> None:
    answer = await http.post("/alerts", **signed(make_secret(), json.dumps(ALERT)))
    assert (answer.status_code, answer.json()) == (401, {"error": "signature refused: No matching signature found"})
    assert receiver.messages == []


async def test_a_changed_body_is_refused(http: httpx2.AsyncClient, secret: str, receiver: Receiver) -> None:
    post = signed(secret, json.dumps(ALERT))
    assert (await http.post("/alerts", **post | {"content": "{}"})).status_code == 401
    assert receiver.messages == []


async def test_a_replayed_message_is_refused(http: httpx2.AsyncClient, secret: str) -> None:
    answer = await http.post("/alerts", **signed(secret, json.dumps(ALERT), age=timedelta(minutes=6)))
    assert (answer.status_code, answer.json()) == (401, {"error": "signature refused: Message timestamp too old"})


@pytest.mark.parametrize(
    "changed",
    [
        {"webhook-signature": "nonsense"},
        {"webhook-signature": "v1,%%%"},
        {"webhook-timestamp": "yesterday"},
        {"webhook-id": ""},
    ],
)
async def test_fields_that_are_no_signature_are_refused(
    http: httpx2.AsyncClient, secret: str, changed: dict[str, str]
) -> None:
    post = signed(secret, json.dumps(ALERT))
    assert (await http.post("/alerts", content=post["content"], headers=post["headers"] | changed)).status_code == 401


async def test_an_unsigned_message_is_refused(http: httpx2.AsyncClient) -> None:
    assert (await http.post("/alerts", json=ALERT)).status_code == 401


async def test_a_signed_message_must_be_json(http: httpx2.AsyncClient, secret: str) -> None:
    assert (await http.post("/alerts", **signed(secret, "hello"))).status_code == 400


async def test_waiting_ends_when_enough_has_come(http: httpx2.AsyncClient, secret: str, receiver: Receiver) -> None:
    waiting = asyncio.create_task(receiver.wait_for(lambda messages: len(messages) == 2))
    await http.post("/alerts", **signed(secret, '"one"', "msg_1"))
    assert not waiting.done()
    await http.post("/alerts", **signed(secret, '"two"', "msg_2"))
    assert await waiting == ["one", "two"]
