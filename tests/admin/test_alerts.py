"""The pages about alerts: what is asked wrongly is told, as problem details, and a store that is away is 503."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from starlette.applications import Starlette

from gateway.admin.alerts import LARGEST, alert_routes
from gateway.admin.serve import serve_admin
from gateway.alerts.book import Book
from gateway.alerts.desk import Desk
from gateway.alerts.outbox import MemoryOutbox
from gateway.alerts.records import Record, State, Try
from gateway.alerts.shelf import MemoryShelf
from gateway.alerts.ways import Way
from gateway.model import Alert
from gateway.store import StoreAway

ALERT = Alert("a1", "mobile", "gold", "hits", "day", 80, 10, 8, 0.0, 86_400.0, 5.0)


class Shelf(MemoryShelf):
    """One that is `away` at times."""

    away = False

    async def get(self, page: str, name: str) -> str | None:
        if self.away:
            raise StoreAway("the store does not answer") from ConnectionError("redis://gw:hunter2@store")
        return await super().get(page, name)


def nobody(name: str) -> Way:
    raise KeyError(f"no channel is called {name}")


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture
async def client(shelf: Shelf) -> AsyncIterator[httpx2.AsyncClient]:
    """Of pages that know one dead letter."""
    book = Book(shelf, clock=time.time, sleep=asyncio.sleep)
    tries = {"log": Try(State.DELIVERED, 5.0, 1), "ops": Try(State.FAILED, 6.0, 3, "answered 500")}
    await book.bury(Record(ALERT, State.FAILED, 6.0, tries))
    desk = Desk(book, MemoryOutbox(), nobody, list, time.time)
    sock = socket.create_server(("127.0.0.1", 0))
    task = asyncio.create_task(serve_admin(Starlette(routes=alert_routes(desk)), sock))
    url = f"http://127.0.0.1:{sock.getsockname()[1]}"
    async with httpx2.AsyncClient(base_url=url, trust_env=False, verify=False) as client:
        yield client
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def test_an_alert_is_told_with_each_channel(client: httpx2.AsyncClient) -> None:
    told = (await client.get("/alerts/a1")).json()
    assert (told["id"], told["state"], told["text"]) == ("a1", "failed", "hits per day: 8/10 (80 %)")
    assert told["channels"]["ops"] == {
        "state": "failed",
        "at": "1970-01-01T00:00:06.000Z",
        "attempts": 3,
        "reason": "answered 500",
    }
    assert (await client.get("/alerts")).json() == {"alerts": [told]}
    assert (await client.get("/alerts", params={"state": "waiting"})).json() == {"alerts": []}


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("[]", "the body is not a JSON object"),
        ("{", "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
        ("{}", "seconds is not a number above 0, up to 31622400"),
        ('{"seconds": true}', "seconds is not a number above 0, up to 31622400"),
        ('{"seconds": NaN}', "seconds is not a number above 0, up to 31622400"),
        ('{"seconds": 60, "plan": 5}', "plan is not a text of 1 to 200 characters"),
        ('{"seconds": 60, "plan": ""}', "plan is not a text of 1 to 200 characters"),
        (" " * (LARGEST + 1), f"the body is larger than {LARGEST} bytes"),
    ],
)
async def test_a_silence_that_is_none_is_refused(client: httpx2.AsyncClient, body: str, why: str) -> None:
    answer = await client.post("/silences", content=body)
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")
    assert answer.json()["detail"] == why


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "why"),
    [
        ("GET", "/alerts/a9", None, 404, "no alert is called a9"),
        ("POST", "/alerts/a9/retry", None, 404, "no alert is called a9"),
        ("DELETE", "/silences/s9", None, 404, "no silence is called s9"),
        ("POST", "/channels/obs/test", None, 404, "no channel is called obs"),
        ("POST", "/silences", {"seconds": 60}, 409, "names no application, plan or metric"),
    ],
)
async def test_what_is_not_there_or_does_not_fit_is_told(
    client: httpx2.AsyncClient, method: str, path: str, body: Any, status: int, why: str
) -> None:
    answer = await client.request(method, path, json=body)
    assert (answer.status_code, answer.json()["detail"]) == (status, why)


async def test_a_store_that_is_away_is_told_without_its_url(client: httpx2.AsyncClient, shelf: Shelf) -> None:
    shelf.away = True
    answer = await client.get("/alerts/a1")
    assert (answer.status_code, answer.json()["detail"]) == (503, "the store does not answer")
    assert "hunter2" not in answer.text


@pytest.mark.parametrize("header", ["Origin", "Referer", "Sec-Fetch-Site"])
async def test_a_browser_is_refused(client: httpx2.AsyncClient, header: str) -> None:
    answer = await client.post("/alerts/retry", headers={header: "https://evil.example"})
    assert answer.status_code == 403
