"""What is said of a store: fit or not, and what to change."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rigs.clusters import ClusterRig
from rigs.ledgers import gateway, yearly
from rigs.shared import marks
from rigs.stores import Server, TcpServer, Tls, binary_of

from gateway.doctor.examine import examine_store
from gateway.doctor.finding import Finding, Level
from gateway.doctor.server import Server as Examined
from gateway.doctor.server import clock
from gateway.model import Charge, Config, Store
from gateway.store.rights import RULE
from gateway.store.topology import topology

pytestmark = pytest.mark.redis

DURABLE = ("--appendonly", "yes", "--appendfsync", "always")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    folder = tmp_path / "server"
    folder.mkdir()
    server = Server(binary_of("valkey"), folder, *DURABLE).start()
    yield server
    server.close()


async def findings(store: Store, data: Path = Path("nowhere")) -> dict[str, Finding]:
    """By what they are about."""
    return {found.about: found async for found in examine_store(Config(store=store, data=data))}


def store_at(server: Server, **fields: Any) -> Store:
    return Store(**{"kind": "url", "url": server.url, "timeout": 1.0, **fields})


def levels(found: dict[str, Finding]) -> set[Level]:
    return {finding.level for finding in found.values()}


async def test_all_is_well_with_a_good_store(server: Server) -> None:
    found = await findings(store_at(server))
    assert levels(found) == {Level.OK}
    assert found["store: server"].text.startswith("valkey 9.")
    assert found["store: restart"].text == "a restart of the store costs nothing"
    assert found["store: epoch"].text == "no gateway has counted here under the prefix 'gw' yet"
    assert found["store: rights"].text == "user default may do all that the gateway does"
    assert found["store: marks"].text == "0: what is revoked, suspended, valid only from some time on"
    assert server.ask("KEYS", "*") == []  # nothing is left of what was tried


async def test_who_counts_there_is_told(server: Server) -> None:
    async with gateway(server.url) as ledger:
        for _ in range(3):
            ledger.consume(ledger.claim("mobile", (Charge(yearly(100), 1),)), lambda _: None)
        found = await findings(store_at(server))
    assert found["store: epoch"].text.endswith("processes that count here now: 1")
    assert found["store: counters"].text == "1 under the prefix 'gw'"


@pytest.mark.parametrize(
    ("setting", "about", "level", "text"),
    [
        (("maxmemory-policy", "allkeys-lru"), "store: server", Level.PROBLEM, "set `maxmemory-policy noeviction`"),
        (("appendonly", "no"), "store: restart", Level.WARNING, "costs all usage"),
        (("appendfsync", "everysec"), "store: restart", Level.OK, "of its last second"),
        (("min-replicas-to-write", "1"), "store: rights", Level.PROBLEM, "it takes no writes now: "),
    ],
)
async def test_what_it_is_set_to_is_told(
    server: Server, setting: tuple[str, str], about: str, level: Level, text: str
) -> None:
    server.ask("CONFIG", "SET", *setting)
    finding = (await findings(store_at(server)))[about]
    assert finding.level is level
    assert text in finding.text


async def test_missing_replicas_are_a_problem(server: Server) -> None:
    finding = (await findings(store_at(server, wait=1)))["store: replicas"]
    assert finding.level is Level.PROBLEM
    assert finding.text.startswith("0 connected, 1 must have what is granted")


async def test_the_rule_that_is_told_is_enough(server: Server) -> None:
    server.ask("ACL", "SETUSER", "gateway", "on", ">secret", *RULE.format(prefix="gw").split())
    user = {"username": "gateway", "password": "secret"}
    assert levels(await findings(store_at(server, **user))) == {Level.OK}
    server.ask("ACL", "SETUSER", "gateway", "-evalsha")
    finding = (await findings(store_at(server, **user)))["store: server"]
    assert finding.level is Level.PROBLEM
    assert "gateway do this on gw:*: EVALSHA" in finding.text
    assert "secret" not in finding.text


async def test_a_closed_fence_is_told(server: Server) -> None:
    now = server.ask("TIME")[0]
    server.ask("SET", "gw:epoch", f"{now * 1000} run {(now + 60) * 1_000_000} ")
    finding = (await findings(store_at(server)))["store: epoch"]
    assert finding.level is Level.WARNING
    assert "requests get 503" in finding.text


async def test_a_key_that_is_no_counter_is_told(server: Server) -> None:
    server.ask("SET", "gw:{mobile}:gold::hits:year:UTC:0", "rubbish")
    finding = (await findings(store_at(server)))["store: counters"]
    assert finding.level is Level.WARNING
    assert "such as gw:{mobile}:gold::hits:year:UTC:0" in finding.text


@pytest.mark.parametrize(("hours", "level"), [(0, Level.OK), (-2, Level.PROBLEM), (2, Level.PROBLEM)])
async def test_clocks_that_differ_are_told(
    server: Server, monkeypatch: pytest.MonkeyPatch, hours: int, level: Level
) -> None:
    store = store_at(server)
    servers = topology(store)
    now = server.ask("TIME")[0]
    async with servers.client() as redis:
        monkeypatch.setattr("gateway.doctor.server.time.time", lambda: now + hours * 3600 + 0.5)
        finding = await clock(Examined(store, servers.nodes[0], redis))
    assert finding.level is level
    assert ("behind" in finding.text) == (hours < 0) or not hours


async def test_the_stores_certificate_is_looked_at(tmp_path: Path) -> None:
    tls = Tls(tmp_path / "tls")
    server = TcpServer(binary_of("redis"), tmp_path / "server", *DURABLE, tls=tls.options())
    server.start()
    try:
        found = await findings(store_at(server, ca=tls.ca))
        assert found["store: certificate"].text.startswith("the store's is valid until ")
        other = Tls(tmp_path / "other")
        (finding,) = (await findings(store_at(server, ca=other.ca))).values()
        assert (finding.about, finding.level) == ("store", Level.PROBLEM)
    finally:
        server.close()


async def test_each_server_of_a_cluster_is_looked_at(tmp_path: Path) -> None:
    rig = ClusterRig(tmp_path, kind="valkey")
    try:
        found = await findings(rig.start().store(wait=0))
        assert levels(found) == {Level.OK}
        for server in rig.servers:
            assert f"store {server.address}: answer" in found
            assert server.ask("DBSIZE") == 0
    finally:
        rig.close()


async def test_a_store_that_is_away_is_one_problem(server: Server) -> None:
    server.close()
    (finding,) = (await findings(store_at(server))).values()
    assert (finding.about, finding.level) == ("store", Level.PROBLEM)


async def test_memory_is_a_warning(tmp_path: Path) -> None:
    (finding,) = (await findings(Store(kind="memory"))).values()
    assert finding.level is Level.WARNING


async def test_an_embedded_store_is_looked_at_and_not_made(tmp_path: Path) -> None:
    (finding,) = (await findings(Store(kind="embedded"), tmp_path / "data")).values()
    assert finding == (Level.OK, "store", f"embedded: it is made in {tmp_path}/data when the gateway first runs")
    (tmp_path / "data" / "store").mkdir(parents=True)
    found = await findings(Store(kind="embedded", timeout=1.0), tmp_path / "data")
    assert levels(found) == {Level.OK}


async def test_marks_are_counted_and_what_is_none_is_told(server: Server) -> None:
    async with marks(store_at(server)) as some:
        await some.set("revoked", "a")
        await some.set("revoked", "b")
        await some.clear("revoked", "b")
    assert (await findings(store_at(server)))["store: marks"].text.startswith("1: ")
    server.ask("HSET", "gw:{~marks}:facts", "revoked a", "rubbish")
    told = (await findings(store_at(server)))["store: marks"]
    assert told.level is Level.WARNING
    assert told.text == "1 entries are none: what they revoked holds no more; delete them from gw:{~marks}:facts"
