"""The rule for the gateway's user in the store's ACL: it suffices, and what lacks of it is told."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from rigs.clusters import ClusterRig
from rigs.sentinels import SentinelRig
from rigs.stores import TcpServer

from gateway.alerts.outboxes import Outboxes
from gateway.alerts.store_outbox import StoreOutbox
from gateway.model import Charge, Limit, Period, Store, Verdict
from gateway.quota.store import StoreLedger
from gateway.store import StoreError
from gateway.store.lines import Lines
from gateway.store.records import StoreRecords, Use
from gateway.store.rights import RULE, SENTINEL_RULE
from gateway.store.store_marks import StoreMarks
from gateway.store.topology import Topology, topology
from gateway.store.vetting import Vetting

pytestmark = pytest.mark.redis

OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"
LIMIT = Limit(plan="gold", period=Period.DAY, value=10, bins=(50,))


def allow(server: TcpServer, *rule: str) -> None:
    server.ask("ACL", "SETUSER", "gateway", "reset", "on", ">secret", *rule)


def rule() -> list[str]:
    return RULE.format(prefix="gw").split()


async def count(stack: AsyncExitStack, servers: Topology, store: Store) -> None:
    """Six requests of ten, with all that a gateway does for them."""
    ledger = StoreLedger(servers, prefix="gw", timeout=5.0, wait=store.replicas, fence=2.0)
    stack.push_async_callback(ledger.close)
    await ledger.start()
    outcomes: list[Any] = []
    claim = ledger.claim("mobile", (Charge(LIMIT, 1),))
    async with asyncio.timeout(20):
        while sum(outcome.verdict is Verdict.GRANTED for outcome in outcomes) < 6:
            later = asyncio.get_running_loop().create_future()
            outcome = ledger.consume(claim, later.set_result)
            outcomes.append(await later if outcome is None else outcome)
            await asyncio.sleep(0.01)


async def the_alert(outbox: StoreOutbox | Outboxes) -> str:
    async with asyncio.timeout(20):
        while not (entries := await outbox.read(10, 0.1)):
            pass
    await outbox.keep([entries[0].id])
    await outbox.done(entries[0].id)
    return f"{entries[0].alert.application} {entries[0].alert.bin}"


async def remember(servers: Topology, store: Store) -> None:
    """All that is done with records and marks."""
    lines = Lines(servers, store, 20.0)
    records, marks = StoreRecords(lines, store), StoreMarks(lines, store.prefix, time.time)
    for name in ("a", "b", "c"):  # on several servers
        assert await records.put("session", name, b"1", 60)
        assert await records.swap("session", name, b"1", b"2", 60)
        await records.index("session", name, "x", 60)
        assert await records.listed("session", name) == ["x"]
        await records.unindex("session", name, "x")
        assert await records.once("proof", name, 60, made=time.time() + 60) is Use.FIRST
        assert await records.take("session", name) == b"2"
        await records.drop("proof", name)
    assert [name async for name in records.scan("session")] == []
    await marks.set("revoked", "a", until=time.time() + 60)
    await marks.clear("revoked", "a")
    assert await marks.look()
    await lines.close()


async def use(store: Store) -> None:
    """As a gateway does: look at it, count, deliver, remember."""
    async with AsyncExitStack() as stack:
        servers = topology(store)
        stack.push_async_callback(servers.close)
        vetting = Vetting(servers, store)
        assert await vetting.look()
        assert vetting.problem is None
        await count(stack, servers, store)
        if store.kind == "cluster":
            outbox: StoreOutbox | Outboxes = Outboxes(servers, "gw", "a")
            stack.push_async_callback(outbox.close)
        else:
            redis = await stack.enter_async_context(servers.client(patience=5.0))
            outbox = StoreOutbox(redis, "gw", "a")
        assert await the_alert(outbox) == "mobile 50"
        await remember(servers, store)


async def test_the_rule_suffices_for_all_that_a_gateway_does(server: TcpServer) -> None:
    allow(server, *rule())
    await use(Store(kind="url", url=server.url, username="gateway", password="secret", timeout=5.0))
    assert server.ask("ACL", "LOG") == []


async def test_it_suffices_behind_sentinels(watched: SentinelRig) -> None:
    for server in watched.servers:
        allow(server, *rule())
    for sentinel in watched.sentinels:
        sentinel.ask("ACL", "SETUSER", "asker", "on", ">other", SENTINEL_RULE)
    access = {"username": "gateway", "password": "secret"}
    await use(watched.store(**access, sentinel_username="asker", sentinel_password="other"))
    assert [server.ask("ACL", "LOG") for server in (*watched.servers, *watched.sentinels)] == [[]] * 5


async def test_it_suffices_in_a_cluster(cluster: ClusterRig) -> None:
    for server in cluster.servers:
        allow(server, *rule())
    await use(cluster.store(username="gateway", password="secret"))
    assert [server.ask("ACL", "LOG") for server in cluster.servers] == [[]] * 6


@pytest.mark.parametrize(
    ("without", "told"),
    [
        ("-evalsha", "EVALSHA"),
        ("-script", "SCRIPT LOAD"),
        ("-xreadgroup", "XREADGROUP"),
        ("-@sortedset", "ZADD"),
        ("-getdel", "GETDEL"),
        ("-@hash", "HGET, HDEL"),
        ("-time", "TIME"),
    ],
)
async def test_what_lacks_is_told_with_the_whole_rule(server: TcpServer, without: str, told: str) -> None:
    allow(server, *rule(), without)
    store = Store(kind="url", url=server.url, username="gateway", password="secret")
    with pytest.raises(StoreError) as error:
        await Vetting(topology(store), store).look()
    assert str(error.value) == (
        f"the store does not let its user gateway do this on gw:*: {told}; "
        f"the rule to give is: ACL SETUSER gateway {' '.join(rule())}"
    )


async def test_another_prefix_needs_another_rule(server: TcpServer) -> None:
    allow(server, *rule())
    store = Store(kind="url", url=server.url, username="gateway", password="secret", prefix="other")
    with pytest.raises(StoreError, match=r"on other:\*: GET, SET, .*ACL SETUSER gateway ~other:\*"):
        await Vetting(topology(store), store).look()


async def test_who_waits_for_replicas_must_be_allowed_to(server: TcpServer) -> None:
    allow(server, *rule(), "-wait")
    store = Store(kind="url", url=server.url, username="gateway", password="secret", wait=1)
    with pytest.raises(StoreError, match=": WAIT;"):
        await Vetting(topology(store), store).look()


async def test_who_may_not_even_ask_is_told_so(server: TcpServer) -> None:
    allow(server, *rule(), "-info")
    store = Store(kind="url", url=server.url, username="gateway", password="secret")
    with pytest.raises(StoreError, match=r"'info' command.*give its user the rights that docs/operations\.md tells"):
        await Vetting(topology(store), store).look()


async def test_trying_leaves_nothing(server: TcpServer) -> None:
    store = Store(kind="url", url=server.url)
    assert await Vetting(topology(store), store).look()
    assert server.ask("DBSIZE") == 0


def test_the_documents_tell_the_rule() -> None:
    text = " ".join(OPERATIONS.read_text().split())
    assert RULE.format(prefix="gw") in text
    assert SENTINEL_RULE in text
