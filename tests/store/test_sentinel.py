"""A primary behind Sentinels is found at each connect, through failovers and in spite of a Sentinel that is wrong."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from redis.exceptions import ConnectionError as NotConnected
from redis.exceptions import RedisError
from rigs.sentinels import Sentinel, SentinelRig
from rigs.stores import TcpServer, Tls, binary_of, free_port

from gateway.model import Store
from gateway.store.pipe import Link
from gateway.store.topology import topology

pytestmark = pytest.mark.redis

SECONDS = 5.0


@asynccontextmanager
async def link_to(rig: SentinelRig, **changes: Any) -> AsyncIterator[Link]:
    watched = topology(rig.store(**changes))
    link = watched.nodes[0].link()
    try:
        yield link
    finally:
        await link.close()
        await watched.close()


def run_of(server: TcpServer) -> str:
    return str(server.ask("INFO", "server")["run_id"])


@pytest.fixture
async def link(watched: SentinelRig) -> AsyncIterator[Link]:
    async with link_to(watched) as link:
        yield link
    watched.reunite()


async def until_open(link: Link, run: str) -> None:
    async with asyncio.timeout(SECONDS):
        while await link.open(SECONDS) != run:
            await asyncio.sleep(0.01)


async def test_a_planned_failover_is_followed(watched: SentinelRig, link: Link) -> None:
    assert await link.open(SECONDS) == run_of(watched.primary)
    promoted = watched.fail_over()
    started = time.monotonic()
    await until_open(link, run_of(promoted))
    assert time.monotonic() - started < 5.0  # though the former one goes on as a primary for 10 s
    assert await link.exchange([("SET", "n", 1)], SECONDS) == [b"OK"]


async def test_a_crash_is_followed(watched: SentinelRig, link: Link) -> None:
    await link.open(SECONDS)
    former = watched.primary
    former.kill()
    with pytest.raises((RedisError, OSError)):
        await link.exchange([("PING",)], SECONDS)
    promoted = watched.await_other(former)
    assert await link.open(SECONDS) == run_of(promoted)
    former.start()


async def test_while_there_is_no_primary_it_is_told_in_time(watched: SentinelRig, link: Link) -> None:
    former = watched.primary
    former.pause()
    started = time.monotonic()
    with pytest.raises((RedisError, OSError)):
        await link.open(0.5)
    assert time.monotonic() - started < 3.0
    promoted = watched.await_other(former)
    former.resume()
    assert await link.open(SECONDS) == run_of(promoted)


async def test_one_sentinel_that_hangs_delays_nothing(watched: SentinelRig, link: Link) -> None:
    watched.sentinels[0].pause()
    started = time.monotonic()
    assert await link.open(SECONDS) == run_of(watched.primary_of(watched.sentinels[1]))
    assert time.monotonic() - started < 0.45  # to wait for it would take 0.5
    watched.sentinels[0].resume()


async def test_one_sentinel_that_is_left_is_enough(watched: SentinelRig, link: Link) -> None:
    for sentinel in watched.sentinels[:2]:
        sentinel.kill()
    assert await link.open(SECONDS) == run_of(watched.primary)
    for sentinel in watched.sentinels[:2]:
        sentinel.start()


async def test_the_view_of_the_latest_failover_wins(watched: SentinelRig, tmp_path: Path) -> None:
    watched.fail_over()
    watched.reunite()
    binary = binary_of("redis")
    former = TcpServer(binary, tmp_path / "former")
    cut_off = Sentinel(binary, tmp_path / "sentinel", former.address)
    former.start()
    cut_off.start()
    nodes = (cut_off.address, *(sentinel.address for sentinel in watched.sentinels[:2]))
    try:
        async with link_to(watched, nodes=nodes) as link:
            for _ in range(5):
                assert await link.open(SECONDS) == run_of(watched.primary)
                await link.close()
    finally:
        cut_off.close()
        former.close()


async def test_a_name_that_the_sentinels_do_not_know_is_told(watched: SentinelRig) -> None:
    async with link_to(watched, service="other") as link:
        with pytest.raises(NotConnected, match=r"Sentinel knows no primary 'other'; see store\.service"):
            await link.open(SECONDS)


async def test_no_sentinel_at_all() -> None:
    store = Store(kind="sentinel", nodes=(free_port(), free_port()), service="main")
    nowhere = topology(store)
    with pytest.raises(NotConnected, match=r"no Sentinel tells where 'main' is: .*Connect call failed"):
        await nowhere.nodes[0].link().open(SECONDS)
    assert not await nowhere.refresh()
    await nowhere.close()


async def test_clients_follow_too(watched: SentinelRig) -> None:
    place = topology(watched.store())
    async with place.client() as redis:
        assert (await redis.info("server"))["run_id"] == run_of(watched.primary)
        former = watched.primary
        promoted = watched.kill_primary()
        await asyncio.sleep(0.01)  # the loop hears of the end
        assert (await redis.info("server"))["run_id"] == run_of(promoted)
        former.start()
        watched.reunite()
    await place.close()


async def test_mutual_tls_and_a_password_of_their_own(tmp_path: Path) -> None:
    tls = Tls(tmp_path / "tls")
    rig = SentinelRig(tmp_path, replicas=0, sentinels=1, tls=tls.options(mutual=True))
    try:
        rig.start()
        rig.primary.ask("ACL", "SETUSER", "gateway", "on", ">secret", "~gw:*", "+@all")
        store = {"tls": True, "ca": tls.ca, "cert": tls.cert, "key": tls.key, "username": "gateway"}
        sentinel = rig.sentinels[0]
        sentinel.ask("ACL", "SETUSER", "asker", "on", ">other", "+@all")
        sentinel.ask("ACL", "SETUSER", "default", "off")
        theirs = {"sentinel_username": "asker", "sentinel_password": "other"}
        async with link_to(rig, password="secret", **theirs, **store) as link:
            await link.open(SECONDS)
            assert await link.exchange([("ACL", "WHOAMI")], SECONDS) == [b"gateway"]
        async with link_to(rig, password="secret", **store) as link:
            with pytest.raises(NotConnected, match=r"the sentinel cannot be asked: .*; set store\.sentinel_password"):
                await link.open(SECONDS)
    finally:
        rig.close()
