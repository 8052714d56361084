"""All checks over one configuration."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

from redis.exceptions import RedisError

from gateway.doctor.files import FILE_CHECKS
from gateway.doctor.finding import Finding, ok, problem, warning
from gateway.doctor.providers import Client, examine_providers
from gateway.doctor.server import SERVER_CHECKS, Server, ServerCheck
from gateway.doctor.targets import targets
from gateway.model import Config
from gateway.quota.census import Census
from gateway.store import StoreError
from gateway.store.lines import Lines
from gateway.store.refusals import explain
from gateway.store.store_marks import StoreMarks
from gateway.store.topology import Topology
from gateway.store.visit import visiting


async def examine(config: Config, *, and_targets: bool = False, client: Client | None = None) -> AsyncIterator[Finding]:
    """What each check says, in turn. `and_targets`: services' targets are connected to as well; `client`: a token of
    its own is tried."""
    for check in FILE_CHECKS:
        for finding in check(config):
            yield finding
    async for finding in examine_store(config):
        yield finding
    async for finding in examine_providers(config, client):
        yield finding
    if and_targets:
        for finding in await targets(config):
            yield finding


async def examine_store(config: Config) -> AsyncIterator[Finding]:
    """Of each server of the store, and of what is in it."""
    if config.store.kind == "memory":
        text = "memory: a restart of the gateway forgets all usage and all sessions; use `embedded` or a server"
        yield warning("store", text)
        return
    if config.store.kind == "embedded" and not (config.data / "store").is_dir():
        yield ok("store", f"embedded: it is made in {config.data} when the gateway first runs")
        return
    told: set[Finding] = set()
    try:
        async with visiting(config.store, config.data) as servers:
            async for finding in _of_servers(config, servers):
                if finding not in told:  # one fault may show in several checks
                    told.add(finding)
                    yield finding
            yield await counters(config, servers)
            yield await marks(config, servers)
    except StoreError as error:
        yield problem("store", str(error))


async def _of_servers(config: Config, servers: Topology) -> AsyncIterator[Finding]:
    several = len(servers.nodes) > 1
    for node in servers.nodes:
        async with servers.client(node.tag) as redis:
            for check in SERVER_CHECKS:
                finding = await _checked(check, Server(config.store, node, redis))
                if finding is not None:
                    yield finding._replace(
                        about=f"store {node.name}: {finding.about}" if several else f"store: {finding.about}"
                    )


async def _checked(check: ServerCheck, server: Server) -> Finding | None:
    """A check that fails is itself a problem."""
    try:
        return await check(server)
    except StoreError as error:
        return problem("server", str(error))
    except (RedisError, OSError) as error:
        return problem(check.__name__, str(explain(error, server.store)))


async def counters(config: Config, servers: Topology) -> Finding:
    """How many there are, and whether all are what they look like."""
    census = Census(servers, config.store.prefix)
    number = 0
    async for _ in census.counters():
        number += 1
    text = f"{number} under the prefix {config.store.prefix!r}"
    if census.rubbish:
        some = f"{len(census.rubbish)} keys are not what they look like, such as {census.rubbish[0]}"
        return warning("store: counters", f"{text}; {some}: requests that they concern get 503; delete them")
    return ok("store: counters", text)


async def marks(config: Config, servers: Topology) -> Finding:
    """How many there are, and whether all gateways can read them."""
    lines = Lines(servers, config.store)
    found = StoreMarks(lines, config.store.prefix, time.time)
    try:
        await found.look()
    finally:
        await lines.close()
    if found.rubbish:
        text = f"{found.rubbish} entries are none: what they revoked holds no more; delete them from {found.place}"
        return warning("store: marks", text)
    number = sum(row.value is not None for row in found.rows.values())
    return ok("store: marks", f"{number}: what is revoked, suspended, valid only from some time on")
