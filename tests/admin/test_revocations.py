"""The pages about revoked tokens: what is asked wrongly is told, as problem details."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from starlette.applications import Starlette

from gateway.admin.revocations import revocation_routes
from gateway.admin.serve import serve_admin
from gateway.model import Config, Oidc
from gateway.process.revocations import RevocationDesk
from gateway.store import StoreAway
from gateway.store.marks import MemoryMarks, Row

NOW = 1_800_000_000.0
PROVIDERS = {"keycloak": Oidc(name="keycloak", issuer="https://sso.example.com/r", audience=("gateway",))}


class Marks(MemoryMarks):
    away = False

    async def _write(self, row: Row) -> Row:
        if self.away:
            raise StoreAway("the store does not answer")
        return await super()._write(row)


@pytest.fixture
def marks() -> Marks:
    return Marks(lambda: NOW, lambda row: None)


@pytest.fixture
async def client(marks: Marks) -> AsyncIterator[httpx2.AsyncClient]:
    desk = RevocationDesk(lambda: NOW)
    desk.start(marks, Config(providers=PROVIDERS))
    sock = socket.create_server(("127.0.0.1", 0))
    task = asyncio.create_task(serve_admin(Starlette(routes=revocation_routes(desk)), sock))
    url = f"http://127.0.0.1:{sock.getsockname()[1]}"
    async with httpx2.AsyncClient(base_url=url, trust_env=False, verify=False) as client:
        yield client
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def test_revoke_list_restore(client: httpx2.AsyncClient) -> None:
    body = {"user": "4f1c", "before": "2027-01-15", "seconds": 60, "reason": "lost phone", "by": "alice"}
    row = (await client.post("/revocations", json=body)).json()
    assert row == {
        "id": row["id"],
        "what": "user",
        "name": "4f1c",
        "providers": ["keycloak"],
        "issuer": "https://sso.example.com/r",
        "before": "2027-01-15T00:00:00.000Z",
        "since": "2027-01-15T08:00:00.000Z",
        "until": "2027-01-15T08:01:00.000Z",
        "reason": "lost phone",
    }
    assert (await client.get("/revocations")).json() == {"revocations": [row]}
    assert (await client.delete(f"/revocations/{row['id']}", params={"by": "alice"})).json() == row
    assert (await client.get("/revocations")).json() == {"revocations": []}


@pytest.mark.parametrize(
    ("body", "status", "why"),
    [
        ({}, 400, "say what is revoked, one of: jti session user client token realm"),
        ({"user": "a", "client": "b"}, 400, "say what is revoked, one of"),
        ({"realm": "true"}, 400, "realm is true, or left out"),
        ({"users": "a"}, 400, "'users' is not a member of it"),
        ({"user": ""}, 400, "user is not a text of 1 to 255 characters"),
        ({"user": "a\nb"}, 400, "user is not a text"),
        ({"user": 7}, 400, "user is not a text"),
        ({"user": "a", "before": "yesterday"}, 400, "before is not a date such as"),
        ({"user": "a", "before": -1}, 400, "before is not a date such as"),
        ({"user": "a", "seconds": 0}, 400, "seconds is not a number above 0"),
        ({"session": "a", "before": 1}, 400, "before is for a user, a client or a realm"),
        ({"token": "eyJ.eyJ.x"}, 400, "the token"),
        ({"user": "a", "provider": "else"}, 404, "'else' is not a provider (keycloak)"),
        ([], 400, "not a JSON object"),
    ],
)
async def test_what_is_asked_wrongly(client: httpx2.AsyncClient, body: Any, status: int, why: str) -> None:
    answer = await client.post("/revocations", json=body)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert why in answer.json()["detail"]


async def test_what_is_not_there_cannot_be_restored(client: httpx2.AsyncClient) -> None:
    answer = await client.delete("/revocations/0123")
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown")


async def test_a_browser_is_not_listened_to(client: httpx2.AsyncClient) -> None:
    answer = await client.post("/revocations", json={"realm": True}, headers={"origin": "https://evil.example"})
    assert answer.status_code == 403


async def test_a_store_that_is_away(client: httpx2.AsyncClient, marks: Marks) -> None:
    marks.away = True
    answer = await client.post("/revocations", json={"user": "a"})
    assert (answer.status_code, answer.json()["code"]) == (503, "store_down")
