"""Revoking as an operator does, over marks: what is meant, how it is listed, what is told to the log."""

from __future__ import annotations

import asyncio
import logging
from hashlib import sha256

import pytest

from gateway.devkit.provider import Client, Provider
from gateway.identity.refusals import InvalidToken
from gateway.identity.revocations import revoked
from gateway.identity.token import parse
from gateway.model import Config, Oidc
from gateway.process.revocations import Operator, Order, RevocationDesk, UnknownError
from gateway.store.marks import MemoryMarks

ISSUER, PARTNER = "https://sso.example.com/realms/demo", "https://partner.example.com/"
NOW = 1_800_000_000.0
ME = Operator("alice", "127.0.0.1:5000", "root")


def oidc(name: str, issuer: str) -> Oidc:
    return Oidc(name=name, issuer=issuer, audience=("gateway",))


@pytest.fixture
def marks() -> MemoryMarks:
    return MemoryMarks(lambda: NOW, lambda row: None)


@pytest.fixture
def desk(marks: MemoryMarks) -> RevocationDesk:
    desk = RevocationDesk(lambda: NOW)
    desk.start(marks, Config(providers={"keycloak": oidc("keycloak", ISSUER)}))
    return desk


@pytest.fixture(scope="module")
def token() -> str:
    return Provider(ISSUER, [Client(id="mobile-app")], clock=lambda: NOW).token("mobile-app", sid="s1")


@pytest.mark.parametrize("what", ["token", "jti", "session", "user", "client", "realm"])
async def test_each_way_to_revoke_a_token(desk: RevocationDesk, marks: MemoryMarks, token: str, what: str) -> None:
    claims = parse(token.encode()).claims
    names = {"jti": "jti", "session": "sid", "user": "sub", "client": "azp"}
    name = token if what == "token" else claims[names[what]] if what in names else ""
    assert not revoked(marks, claims)
    row = await desk.revoke(Order(what, name, reason="lost phone"), ME)
    assert revoked(marks, claims)
    assert [row] == await desk.listed()
    assert (row["what"], row["providers"], row["reason"]) == (
        "jti" if what == "token" else what,
        ["keycloak"],
        "lost phone",
    )
    assert (row["before"] is not None) == (what in ("user", "client", "realm"))
    assert await desk.restore(row["id"], ME) == row
    assert not revoked(marks, claims)
    assert await desk.listed() == []


async def test_a_token_is_revoked_until_it_has_expired(desk: RevocationDesk, token: str) -> None:
    assert (await desk.revoke(Order("token", token), ME))["until"] == "2027-01-15T08:07:00.000Z"
    assert (await desk.revoke(Order("jti", "x", seconds=60.0), ME))["until"] == "2027-01-15T08:01:00.000Z"
    assert (await desk.revoke(Order("session", "x"), ME))["until"] is None


async def test_another_moment_than_now(desk: RevocationDesk, marks: MemoryMarks, token: str) -> None:
    claims = parse(token.encode()).claims
    await desk.revoke(Order("user", claims["sub"], before=NOW - 1), ME)
    assert not revoked(marks, claims)
    row = await desk.revoke(Order("user", claims["sub"], before=NOW + 60), ME)
    assert revoked(marks, claims)
    assert [one["before"] for one in await desk.listed()] == [row["before"]] == ["2027-01-15T08:01:00.000Z"]


async def test_an_opaque_token_is_known_by_its_digest(desk: RevocationDesk, marks: MemoryMarks) -> None:
    await desk.revoke(Order("token", "opaque.x"), ME)
    claims = {"iss": ISSUER, "sub": "alice", "iat": NOW}
    assert revoked(marks, claims, sha256(b"opaque.x").digest())
    assert not revoked(marks, claims, sha256(b"opaque.y").digest())
    assert (await desk.listed())[0]["name"] == sha256(b"opaque.x").hexdigest()


async def test_what_cannot_be_meant_is_told(desk: RevocationDesk, token: str) -> None:
    with pytest.raises(InvalidToken):
        await desk.revoke(Order("token", token[:-1]), ME)
    with pytest.raises(UnknownError, match="'else' is not a provider \\(keycloak\\)"):
        await desk.revoke(Order("user", "x", provider="else"), ME)
    with pytest.raises(UnknownError, match="no revocation 0123"):
        await desk.restore("0123", ME)
    with pytest.raises(ValueError, match="before is for a user, a client or a realm"):
        await desk.revoke(Order("session", "x", before=NOW), ME)
    desk.take(Config(providers={"a": oidc("a", ISSUER), "b": oidc("b", PARTNER)}))
    with pytest.raises(ValueError, match="say of which provider \\(a, b\\)"):
        await desk.revoke(Order("user", "x"), ME)
    assert (await desk.revoke(Order("token", token), ME))["providers"] == ["a"]
    with pytest.raises(UnknownError, match="of no provider here"):
        await desk.revoke(Order("token", token, provider="b"), ME)
    without = Provider(ISSUER, [Client(id="mobile-app")]).token("mobile-app", jti=None)
    with pytest.raises(ValueError, match="no jti"):
        await desk.revoke(Order("token", without), ME)


async def test_each_change_is_told_to_the_log_without_the_token(
    desk: RevocationDesk, token: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "gateway.audit")
    row = await desk.revoke(Order("token", token), ME)
    await desk.restore(row["id"], ME)
    told = [(record.action, record.by, record.peer, record.user, record.what) for record in caplog.records]
    assert told == [
        ("tokens.revoke", "alice", "127.0.0.1:5000", "root", "jti"),
        ("tokens.restore", "alice", "127.0.0.1:5000", "root", "jti"),
    ]
    assert token.split(".")[2] not in str([record.__dict__ for record in caplog.records])


async def test_a_store_that_fails_is_told(
    desk: RevocationDesk, marks: MemoryMarks, caplog: pytest.LogCaptureFixture
) -> None:
    async def away(*_: object) -> None:
        await asyncio.sleep(0)
        raise OSError("the store does not answer")

    marks._write = away  # type: ignore[assignment,method-assign]
    with pytest.raises(OSError, match="does not answer"):
        await desk.revoke(Order("jti", "x"), ME)
    assert "tokens revoke failed: the store does not answer" in caplog.text
    assert await desk.listed() == []
