"""`/keys`: which API keys were revoked, revoking, and taking that back; who may ask, and what the log says of it."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx2
import pytest
from starlette.applications import Starlette

from gateway.admin.keys import key_routes
from gateway.identity.revocations import KEY
from gateway.process.keys import KeyDesk
from gateway.store import StoreAway
from gateway.store.key_uses import MemoryKeyUses
from gateway.store.marks import MemoryMarks

DIGEST = "sha256:" + 64 * "a"


@pytest.fixture
def marks() -> MemoryMarks:
    return MemoryMarks(time.time, lambda row: None)


@pytest.fixture
async def ask(marks: MemoryMarks) -> AsyncIterator[Callable[..., httpx2.AsyncClient]]:
    app = Starlette(routes=key_routes(KeyDesk(marks, MemoryKeyUses())))
    clients = []

    def client(address: str = "127.0.0.1") -> httpx2.AsyncClient:
        transport = httpx2.ASGITransport(app, client=(address, 1234))
        clients.append(httpx2.AsyncClient(transport=transport, base_url="http://admin", trust_env=False))
        return clients[-1]

    yield client
    for made in clients:
        await made.aclose()


async def test_a_key_is_revoked_shown_and_restored(
    ask: Callable[..., httpx2.AsyncClient], marks: MemoryMarks, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "gateway.audit")
    http = ask()
    done = (await http.post("/keys/revoke", json={"digest": DIGEST, "by": "olga"})).json()["revoked"]
    assert (done["digest"], done["at"], done["acts"]) == (DIGEST, None, True)
    mark = marks.get(KEY, DIGEST)
    assert mark is not None and mark.value == ""
    assert (await http.get("/keys")).json() == {"revoked": [done], "used": {}}
    told = [(record.message, record.digest, record.by) for record in caplog.records]
    assert told == [("key revoke", DIGEST, "olga")]
    assert (await http.post("/keys/restore", json={"digest": DIGEST})).json() == {"restored": True}
    assert (await http.post("/keys/restore", json={"digest": DIGEST})).json() == {"restored": False}
    assert (await http.get("/keys")).json() == {"revoked": [], "used": {}}


async def test_a_moment_may_be_said(ask: Callable[..., httpx2.AsyncClient], marks: MemoryMarks) -> None:
    later = int(time.time()) + 3600
    done = (await ask().post("/keys/revoke", json={"digest": DIGEST, "at": later})).json()["revoked"]
    assert done["acts"] is False
    mark = marks.get(KEY, DIGEST)
    assert mark is not None and float(mark.value) == later


@pytest.mark.parametrize(
    ("members", "told"),
    [
        ({}, "'digest' is sha256: and 64 hexadecimal digits"),
        ({"digest": "gwk_secret"}, "'digest' is sha256:"),
        ({"digest": DIGEST.upper()}, "'digest' is sha256:"),
        ({"digest": DIGEST, "at": "soon"}, "'at' is a time in Unix seconds"),
        ({"digest": DIGEST, "at": True}, "'at' is a time"),
        ({"digest": DIGEST, "at": -1}, "'at' is a time"),
        ({"digest": DIGEST, "at": 1e300}, "'at' is a time"),
        ({"digest": DIGEST, "by": ""}, "'by' is text"),
        ({"digest": DIGEST, "when": 1}, "'when' is not a member of it (digest by at)"),
    ],
)
async def test_what_is_no_order(ask: Callable[..., httpx2.AsyncClient], members: dict[str, Any], told: str) -> None:
    answer = await ask().post("/keys/revoke", json=members)
    assert answer.status_code == 400
    assert answer.json()["detail"].startswith(told)
    assert "gwk_secret" not in answer.text


async def test_only_programs_on_this_machine_may_ask(ask: Callable[..., httpx2.AsyncClient]) -> None:
    assert (await ask("192.0.2.1").get("/keys")).status_code == 403
    headers = {"origin": "https://evil.example"}
    assert (await ask().post("/keys/revoke", json={"digest": DIGEST}, headers=headers)).status_code == 403


async def test_a_store_that_is_away_has_not_done_it(
    ask: Callable[..., httpx2.AsyncClient], marks: MemoryMarks, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object) -> None:
        raise StoreAway("the store does not answer")

    monkeypatch.setattr(marks, "_write", away)
    answer = await ask().post("/keys/revoke", json={"digest": DIGEST})
    assert (answer.status_code, answer.json()["code"]) == (503, "store_down")
