"""One server of the store: whether it answers, keeps what it is told, and permits what the gateway does."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import median
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from gateway.doctor.dates import validity
from gateway.doctor.finding import Finding, ok, problem, warning
from gateway.doctor.scratch import try_scripts
from gateway.model import Store
from gateway.store import keys
from gateway.store.check import Facts, Persistence, inspect
from gateway.store.connection import PATIENCE
from gateway.store.fence import GONE
from gateway.store.node import Node
from gateway.store.rights import require_rights

TRIES = 9
SKEW_NOTED, SKEW_TOO_MUCH = 1.0, 30.0  # seconds between this machine's clock and the store's


@dataclass(frozen=True)
class Server:
    """One primary; `redis` leads to it."""

    store: Store
    node: Node
    redis: Redis

    async def facts(self) -> Facts:
        """Raises StoreError for a server that is unfit."""
        return await inspect(self.redis, self.store)


ServerCheck = Callable[[Server], Awaitable[Finding | None]]


async def answers(server: Server) -> Finding:
    """How fast, beside the time that requests wait."""
    times = []
    for _ in range(TRIES):
        began = time.monotonic()
        await server.redis.time()
        times.append(time.monotonic() - began)
    typical, limit = median(times[1:]), server.store.timeout  # the first one connects
    text = f"answers in {typical * 1000:.1f} ms; requests wait up to {limit * 1000:g} ms (store.timeout)"
    if typical < limit / 2:
        return ok("answer", text)
    return (problem if typical > limit else warning)("answer", f"{text}: bring it nearer, or raise store.timeout")


async def fit(server: Server) -> Finding:
    """Version, role and eviction: see `inspect`."""
    facts = await server.facts()
    if facts.trouble or facts.warning:
        return (problem if facts.trouble else warning)("server", f"{facts.server}: {facts.trouble or facts.warning}")
    return ok("server", f"{facts.server}, a primary, evicts nothing")


async def restart(server: Server) -> Finding:
    """What the gateway's promise is when the server starts again."""
    persistence = (await server.facts()).persistence
    level = ok if persistence in (Persistence.EVERY_WRITE, Persistence.EVERY_SECOND) else warning
    return level("restart", persistence.cost)


async def replicas(server: Server) -> Finding:
    """Who has what is granted, besides this server."""
    info: Any = await server.redis.info("replication")
    there, wanted = int(info["connected_slaves"]), server.store.replicas
    text = f"{there} connected, {wanted} must have what is granted before it is used (store.wait)"
    if there < wanted:
        return problem("replicas", f"{text}: nothing is granted until they are; connect them, or lower store.wait")
    if there and not wanted:
        return warning("replicas", f"{text}: if one takes over, the last moments may be forgotten; set store.wait")
    return ok("replicas", text)


async def rights(server: Server) -> Finding:
    """What the user of the store's ACL may do, and whether the scripts run."""
    link = server.node.link()
    try:
        run = await link.open(PATIENCE)
        refused = await require_rights(link, server.store, server.node.tag, PATIENCE)
        if refused is not None:
            return problem("rights", f"it takes no writes now: {refused}")
        await try_scripts(link, run, server.store.prefix, server.node.tag)
    except ResponseError as error:
        return problem("rights", f"the gateway's scripts do not run: {error}")
    finally:
        await link.close()
    return ok("rights", f"user {server.store.username or 'default'} may do all that the gateway does")


async def clock(server: Server) -> Finding:
    """Windows go by the store's clock, tokens by this machine's."""
    before = time.time()
    seconds, micro = await server.redis.time()
    ahead = seconds + micro / 1e6 - (before + time.time()) / 2
    text = f"this machine's is {abs(ahead):.3f} s {'behind' if ahead > 0 else 'ahead of'} the store's"
    if abs(ahead) < SKEW_NOTED:
        return ok("clock", text)
    level = problem if abs(ahead) > SKEW_TOO_MUCH else warning
    return level("clock", f"{text}: windows go by the store's, tokens by this one; run NTP on both")


async def certificate(server: Server) -> Finding | None:
    """None for a server that shows none."""
    pool = server.redis.connection_pool
    connection: Any = await pool.get_connection()  # type: ignore[no-untyped-call]
    try:
        shown = connection._writer.get_extra_info("peercert")  # redis-py has no other way to it
    finally:
        await pool.release(connection)
    if not shown:
        return None
    end = datetime.strptime(shown["notAfter"], "%b %d %H:%M:%S %Y GMT").replace(tzinfo=UTC)
    found = validity("certificate", None, end, datetime.now(UTC))
    return found._replace(text=f"the store's {found.text}")


async def epoch(server: Server) -> Finding:
    """Which life of the server it is, and who counts there."""
    record: Any = await server.redis.get(keys.epoch(server.store.prefix, server.node.tag))
    seconds, micro = await server.redis.time()
    now = seconds * 1_000_000 + micro
    if record is None:
        return ok("epoch", f"no gateway has counted here under the prefix {server.store.prefix!r} yet")
    number, _, opens, *_ = record.decode().split(" ")
    since = f"{datetime.fromtimestamp(int(number) / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"
    if now < int(opens):
        left = (int(opens) - now) / 1e6
        return warning("epoch", f"it may have lost data at {since}: fenced for {left:.1f} s more, requests get 503")
    recent = now - GONE * 1_000_000
    here = await server.redis.zcount(keys.processes(server.store.prefix, server.node.tag), recent, "+inf")
    return ok("epoch", f"nothing was lost since {since}; processes that count here now: {here}")


SERVER_CHECKS: tuple[ServerCheck, ...] = (answers, fit, restart, replicas, rights, clock, certificate, epoch)
