"""`/sessions`: who is signed in, and ending that; who may ask, and what the log says of it."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator
from dataclasses import replace

import httpx2
import pytest
from starlette.applications import Starlette

from gateway.admin.sessions import session_routes
from gateway.model import Config, Oidc, SignOn, Store
from gateway.process.sessions import SessionDesk
from gateway.sso.cookies import digest
from gateway.sso.session import SignedIn
from gateway.sso.sessions import Sessions
from gateway.store.marks import MemoryMarks
from gateway.store.memory_records import MemoryRecords

ISSUER = "https://sso.example"
PROVIDERS = {name: Oidc(name=name, issuer=ISSUER, audience=("gateway",)) for name in ("keycloak", "other")}


class Place:
    """A desk, and the sessions that workers keep beside it."""

    def __init__(self) -> None:
        self.records = MemoryRecords(time.time)
        self.marks = MemoryMarks(time.time, lambda _row: None)
        self.sessions = Sessions(self.records, self.marks, SignOn())
        self.desk = SessionDesk()
        config = Config(store=Store(kind="url", url="redis://127.0.0.1"), providers=PROVIDERS)
        self.desk.start(self.records, self.marks, config)

    async def begin(self, subject: str, provider: str = "keycloak") -> str:
        """The session's cookie."""
        who = SignedIn(provider=provider, subject=subject, issuer=ISSUER, sid=f"sid-{subject}")
        return (await self.sessions.begin(who)).secret

    def http(self, address: str = "127.0.0.1") -> httpx2.AsyncClient:
        app = Starlette(routes=session_routes(self.desk))
        transport = httpx2.ASGITransport(app, client=(address, 1234))
        return httpx2.AsyncClient(transport=transport, base_url="http://admin", trust_env=False)


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    yield Place()


async def test_sessions_are_listed_without_what_would_let_anybody_in(place: Place) -> None:
    secret = await place.begin("alice")
    await place.begin("bob", "other")
    async with place.http() as http:
        answer = (await http.get("/sessions")).json()
        assert {(row["provider"], row["subject"]) for row in answer["sessions"]} == {
            ("keycloak", "alice"),
            ("other", "bob"),
        }
        assert secret not in str(answer)
        assert answer["more"] is False
        (row,) = (await http.get("/sessions", params={"subject": "alice"})).json()["sessions"]
        assert row["id"] == digest(secret)
        assert row["sid"] == "sid-alice"


async def test_a_session_is_ended_by_the_beginning_of_its_id(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "gateway.audit")
    secret, other = await place.begin("alice"), await place.begin("alice")
    async with place.http() as http:
        answer = await http.post("/sessions/end", json={"id": digest(secret)[:12], "by": "olga"})
        assert [row["id"] for row in answer.json()["ended"]] == [digest(secret)]
        assert await place.sessions.find(secret, used=False) is None
        assert await place.sessions.find(other, used=False) is not None
        assert place.marks.get("session", digest(secret)) is not None
        again = await http.post("/sessions/end", json={"id": digest(secret)})
        assert (again.status_code, again.json()["code"]) == (404, "unknown")
    told = [(record.message, record.by, record.subject) for record in caplog.records]
    assert told == [("session ended", "olga", "alice")]


async def test_all_of_a_person_are_ended(place: Place) -> None:
    for provider in ("keycloak", "keycloak", "other"):
        await place.begin("alice", provider)
    await place.begin("bob")
    async with place.http() as http:
        one = await http.post("/sessions/end", json={"subject": "alice", "provider": "other"})
        assert len(one.json()["ended"]) == 1
        two = await http.post("/sessions/end", json={"subject": "alice"})
        assert len(two.json()["ended"]) == 2
        assert [row["subject"] for row in (await http.get("/sessions")).json()["sessions"]] == ["bob"]


@pytest.mark.parametrize(
    ("members", "why"),
    [
        ({}, "say which: an id, or a subject"),
        ({"id": "a" * 64, "subject": "alice"}, "say which: an id, or a subject"),
        ({"id": "a" * 64, "provider": "keycloak"}, "'provider' is for a subject"),
        ({"subject": 7}, "'subject' is not a text of 1 to 255 characters"),
        ({"subject": ""}, "'subject' is not a text of 1 to 255 characters"),
        ({"subject": "a\nb"}, "'subject' is not a text of 1 to 255 characters"),
        ({"name": "alice"}, "'name' is not a member of it (id subject provider by)"),
    ],
)
async def test_what_is_no_order_is_refused(place: Place, members: dict[str, object], why: str) -> None:
    async with place.http() as http:
        answer = await http.post("/sessions/end", json=members)
        assert (answer.status_code, answer.json()["detail"]) == (400, why)


async def test_an_id_that_is_too_short_or_names_two_is_not_enough(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with place.http() as http:
        answer = await http.post("/sessions/end", json={"id": "abc"})
        assert (answer.status_code, answer.json()["detail"]) == (
            404, "an id has at least 8 hexadecimal digits, as the list shows them",
        )  # fmt: skip


async def test_with_store_memory_the_sessions_are_the_workers(place: Place) -> None:
    desk = SessionDesk()
    desk.start(place.records, place.marks, replace(Config(), store=Store(kind="memory")))
    place.desk = desk
    async with place.http() as http:
        answer = await http.get("/sessions")
        assert (answer.status_code, answer.json()["code"]) == (501, "not_kept")


async def test_programs_of_other_machines_are_refused(place: Place) -> None:
    async with place.http("203.0.113.9") as http:
        assert (await http.get("/sessions")).status_code == 403
