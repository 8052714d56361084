"""Servers on paper with replicas, that restart, and in trouble: as real ones."""

from __future__ import annotations

import asyncio
from random import Random
from typing import Any

import pytest
from redis.exceptions import ResponseError

from .paper.loop import PaperLoop
from .paper.server import PaperServer
from .paper.session import Session


class Pair:
    """A primary and its replica on paper."""

    def __init__(self) -> None:
        self.loop = PaperLoop()
        self.primary, self.replica = (PaperServer(name, self.loop, Random(1), lambda: 0.0) for name in ("one", "two"))
        self.replica.follow(self.primary)

    def ask(self, session: Session, *commands: tuple[str | int, ...]) -> list[Any]:
        heard: list[Any] = []
        self.primary.receive(session, commands, heard.extend)
        self.loop.run_until_complete(asyncio.sleep(1))
        return heard

    def session(self) -> Session:
        return Session(self.primary.life)


def test_wait_tells_how_many_replicas_have_what_this_connection_wrote() -> None:
    """As Valkey 9 does: who wrote nothing has nothing to wait for."""
    pair = Pair()
    writer, reader = pair.session(), pair.session()
    assert pair.ask(writer, ("SET", "a", "1"), ("WAIT", 1, 100)) == [b"OK", 1]
    pair.replica.linked = False
    assert pair.ask(writer, ("SET", "a", "2"), ("WAIT", 1, 100)) == [b"OK", 0]
    assert pair.ask(reader, ("GET", "a"), ("WAIT", 1, 100)) == [b"2", 1]
    pair.replica.relink(pair.primary)
    assert pair.ask(writer, ("WAIT", 1, 100)) == [1]
    pair.loop.close()


def test_a_replica_takes_over_with_what_has_reached_it() -> None:
    pair = Pair()
    writer, old = pair.session(), pair.primary.run_id
    pair.ask(writer, ("SET", "a", "1"))
    pair.replica.linked = False
    pair.ask(writer, ("SET", "a", "2"))
    pair.primary.crash()
    pair.replica.promote(pair.primary)
    pair.primary = pair.replica
    assert pair.ask(pair.session(), ("GET", "a"), ("SET", "a", "3")) == [b"1", b"OK"]
    assert pair.primary.run_id != old
    pair.loop.close()


@pytest.mark.parametrize(("keep", "found"), [(None, b"2"), (1, b"1"), (0, None)])
def test_a_restart_finds_what_was_on_the_disk(keep: int | None, found: bytes | None) -> None:
    pair = Pair()
    old = pair.session()
    pair.ask(old, ("SET", "a", "1"), ("SET", "a", "2"))
    pair.primary.crash()
    pair.primary.restart(keep)
    broken: list[Any] = []
    pair.primary.receive(old, [("GET", "a")], broken.append)
    assert isinstance(broken[0], ConnectionResetError)
    assert pair.ask(pair.session(), ("GET", "a")) == [found]
    pair.loop.close()


@pytest.mark.parametrize(
    ("trouble", "message"),
    [({"full": True}, "command not allowed"), ({"readonly": True}, "write against a read only replica")],
)
def test_a_server_in_trouble_reads_and_does_not_write(trouble: dict[str, bool], message: str) -> None:
    pair = Pair()
    for name, value in trouble.items():
        setattr(pair.primary, name, value)
    read, refusal = pair.ask(pair.session(), ("GET", "a"), ("EVAL", "return redis.call('SET', 'a', 'x')", 0))
    assert read is None
    with pytest.raises(ResponseError, match=message):
        raise refusal
    pair.loop.close()
