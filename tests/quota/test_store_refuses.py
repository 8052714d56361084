"""A store that answers and does not count: full, a replica, locked, or without enough replicas. Nobody is let in."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import pytest
from redis.asyncio import Redis
from rigs.ledgers import TIMEOUT, all_of, ask, client, gateway, units, until_granted, verdicts, yearly
from rigs.stores import Server, TcpServer, binary_of, until_true
from rigs.waiting import until

from gateway.model import Charge, Over
from gateway.quota.store import StoreLedger

from .conftest import ask_all

pytestmark = pytest.mark.redis

ONE = Charge(yearly(10), 1)


async def refuses(ledger: StoreLedger, redis: Redis, *break_it: str) -> None:
    """After the command `break_it` nobody is let in, nor counted."""
    assert verdicts(await ask_all([ledger], 1, "mobile", ONE)) == {"granted": 1}
    await redis.execute_command(*break_it)
    began = time.monotonic()
    assert verdicts(await ask_all([ledger], 3, "mobile", ONE)) == {"unavailable": 3}
    assert time.monotonic() - began < 2 * TIMEOUT


async def recovers(ledger: StoreLedger, redis: Redis, *mend_it: str) -> None:
    """After `mend_it` the store is found again, and all that was counted is what was let in."""
    await redis.execute_command(*mend_it)
    await until_granted(ledger, ONE)
    await until(lambda: not ledger.owes)
    outcomes = await ask_all([ledger], 12, "mobile", ONE)
    assert verdicts(outcomes) == {"granted": 8, "refused": 4}


async def test_a_full_store(server: Server) -> None:
    async with gateway(server.url) as ledger, client(server.url) as redis:
        await refuses(ledger, redis, "CONFIG", "SET", "maxmemory", "1")
        await recovers(ledger, redis, "CONFIG", "SET", "maxmemory", "0")


async def test_what_a_full_store_did_not_take_is_reported_again(server: Server) -> None:
    async with gateway(server.url, look=0.01) as ledger, client(server.url) as redis:
        soft = Charge(yearly(10, over=Over.ALLOW), 1)
        await redis.config_set("maxmemory", 1)
        assert verdicts(await ask_all([ledger], 3, "mobile", soft)) == {"granted": 3}
        await until(lambda: ledger.down)
        remaining = [outcome.remaining for outcome in await ask_all([ledger], 2, "mobile", soft)]
        assert remaining == [6, 5]
        await redis.config_set("maxmemory", 0)
        await until(lambda: not ledger.owes)
        assert await units(redis) == (5, 0)


async def test_a_store_that_became_a_replica(server: Server) -> None:
    async with gateway(server.url) as ledger, client(server.url) as redis:
        await refuses(ledger, redis, "REPLICAOF", "127.0.0.1", "1")
        await until(lambda: ledger.down)
        await recovers(ledger, redis, "REPLICAOF", "NO", "ONE")


async def test_a_store_that_does_not_permit_its_commands_any_more(server: Server) -> None:
    async with gateway(server.url) as ledger, client(server.url) as redis:
        await refuses(ledger, redis, "ACL", "SETUSER", "default", "on", "-@all", "+acl", "+auth", "+client")
        await recovers(ledger, redis, "ACL", "SETUSER", "default", "+@all")


async def test_a_password_set_meanwhile(server: Server) -> None:
    async with gateway(server.url) as ledger, client(server.url) as redis:
        await redis.config_set("requirepass", "secret")
        await redis.client_kill_filter(_type="normal", skipme=True)
        assert verdicts(await ask_all([ledger], 3, "mobile", ONE)) == {"unavailable": 3}
        await redis.config_set("requirepass", "")
        await until_granted(ledger, ONE)


# --- replicas -------------------------------------------------------------------------------------------


@pytest.fixture(params=["redis", "valkey"])
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Server]]:
    """A primary and its replica, in step."""
    folder = tmp_path_factory.mktemp("pair")
    durable = ("--appendonly", "yes", "--appendfsync", "always", "--repl-diskless-sync-delay", "0")
    primary = TcpServer(binary_of(request.param), folder / "primary", *durable).start()
    follows = ("--replicaof", primary.address.host, str(primary.address.port))
    replica = TcpServer(binary_of(request.param), folder / "replica", *follows).start()
    with primary.client() as redis:
        until_true(lambda: redis.set("x", 1) and redis.wait(1, 100), "the replica to be in step")
    yield primary, replica
    for server in (replica, primary):
        server.close()


async def test_a_grant_counts_when_the_replica_has_it(pair: tuple[Server, Server]) -> None:
    primary, replica = pair
    async with gateway(primary.url, wait=1) as ledger:
        for _ in range(3):
            await until_granted(ledger, ONE)
        async with client(replica.url) as redis:
            assert sum(await units(redis)) >= 3


async def test_what_the_replica_does_not_have_is_not_used_when_asked_again(
    pair: tuple[Server, Server],
) -> None:
    """Asked again, perhaps on another connection, the store has nothing to write, and so nothing to wait for."""
    primary, replica = pair
    async with gateway(primary.url, wait=1, timeout=0.1) as ledger:
        assert verdicts(await ask_all([ledger], 1, "mobile", ONE)) == {"granted": 1}
        replica.pause()
        async with client(primary.url) as redis:
            for _ in range(5):
                assert verdicts(await ask_all([ledger], 1, "other", ONE)) == {"unavailable": 1}
                await redis.client_kill_filter(_type="normal", skipme=True)
                await asyncio.sleep(0.2)
                assert ledger.in_hand == 0
            assert (await units(redis, "other"))[0] > 0  # the primary did it
        replica.resume()
        await until(lambda: not ledger.down)
        await until_granted(ledger, ONE, scope="other")
        granted = 1 + await all_of(ledger, yearly(10), scope="other")
        await asyncio.sleep(1.1)  # what was granted too late, and given back, is not refused any more
        assert granted + await all_of(ledger, yearly(10), scope="other") == 10


async def test_a_promoted_replica_has_all_that_was_let_in(pair: tuple[Server, Server]) -> None:
    primary, replica = pair
    async with gateway(primary.url, wait=1) as ledger:
        claim = ledger.claim("mobile", (Charge(yearly(100), 1),))
        granted = sum([(await ask(ledger, claim)).verdict == "granted" for _ in range(60)])
    primary.kill()
    replica.ask("REPLICAOF", "NO", "ONE")
    async with gateway(replica.url) as ledger:
        assert granted + await all_of(ledger, yearly(100)) <= 100
