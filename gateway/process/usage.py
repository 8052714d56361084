"""Usage as operators read and change it: by the plans that hold, in the store, with a line in the log for each."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, aclosing
from typing import Any, NamedTuple

from redis.exceptions import RedisError

from gateway.model import Config, Limit
from gateway.quota.adjust import Account, Accounts, Adjusted
from gateway.quota.census import Census
from gateway.quota.overview import overview, told
from gateway.quota.owners import UnknownError, chosen, limits_in, named
from gateway.quota.report import tags_of
from gateway.store import StoreAway
from gateway.store.topology import Topology, topology

log = logging.getLogger("gateway.audit")

Rows = list[dict[str, Any]]


class Order(NamedTuple):
    """What an operator asks for. `plan` and `limit` None: whichever. `by` is who he says he is; the system knows him
    as `user`, at the address `peer`.
    """

    application: str
    plan: str | None = None
    limit: str | None = None
    by: str | None = None
    peer: str = ""
    user: str | None = None


class NotKeptError(Exception):
    """With `store: memory` usage is in a worker alone."""


class UsageDesk:
    """Of one gateway, from `start` until the stack unwinds. What is asked raises UnknownError for what the plans do not
    have, NotKeptError, and StoreError.
    """

    def __init__(self) -> None:
        self._config = Config()
        self._servers: Topology | None = None

    @property
    def config(self) -> Config:
        """The plans that hold."""
        return self._config

    def start(self, stack: AsyncExitStack, config: Config) -> None:
        """`config` with the store's URL."""
        self._config = config
        if config.store.kind != "memory":
            self._servers = topology(config.store)
            stack.push_async_callback(self._servers.close)

    def take(self, config: Config) -> None:
        """The plans that hold from now on."""
        self._config = config

    async def show(self, application: str | None) -> Rows:
        """What is used of each limit in its window: by an application, by one scope, or (None) by all."""
        accounts = self._accounts()
        app = self._config.applications.get(application or "")
        if application is None or (app is not None and tags_of(app).endswith("*")):
            found = await self._walk("*" if app is None else tags_of(app), application)
            return [told(scope, account) for scope, account in found]
        limits = limits_in(self._config, application)
        return [told(application, account) for account in await accounts.read(application, limits)]

    async def top_up(self, order: Order, units: int) -> Rows:
        """Add units to one limit until its window ends; raises RangeError too."""
        limits = chosen(limits_in(self._config, order.application), order.plan, order.limit)
        if len(limits) > 1:
            names = ", ".join(f"{named(limit)} of {limit.plan}" for limit in limits)
            raise UnknownError(f"say which limit, and of which plan: {names}")
        accounts = self._accounts()
        return await self._change("topup", order, limits, lambda: accounts.top_up(order.application, limits, units))

    async def reset(self, order: Order) -> Rows:
        """Forget what is spent, of one or all limits."""
        limits = chosen(limits_in(self._config, order.application), order.plan, order.limit)
        accounts = self._accounts()
        return await self._change("reset", order, limits, lambda: accounts.reset(order.application, limits))

    async def _walk(self, tags: str, application: str | None) -> list[tuple[str, Account]]:
        assert self._servers is not None
        try:
            await self._servers.refresh()
            census = Census(self._servers, self._config.store.prefix, tags)
            now = await census.now()
            async with aclosing(census.counters()) as counters:
                return overview(self._config, [counter async for counter in counters], now, application)
        except (RedisError, OSError) as error:
            raise StoreAway(f"the store cannot be asked: {error or type(error).__name__}") from error

    async def _change(
        self, action: str, order: Order, limits: Sequence[Limit], work: Callable[[], Awaitable[list[Adjusted]]]
    ) -> Rows:
        """Done, and each counter told; or told that it failed."""
        who = {"action": f"usage.{action}", "by": order.by, "user": order.user, "peer": order.peer}
        who["application"] = order.application
        try:
            done = await work()
        except Exception as error:
            meant = [f"{named(limit)} of {limit.plan}" for limit in limits]
            log.warning("usage %s failed: %s", action, error, extra={**who, "limits": meant})
            raise
        rows = []
        for limit, window, before, after in done:
            what = {"plan": limit.plan, "limit": named(limit), "before": before._asdict(), "after": after._asdict()}
            log.info("usage %s", action, extra={**who, **what})
            rows.append({**told(order.application, Account(limit, window, after)), "before": before._asdict()})
        return rows

    def _accounts(self) -> Accounts:
        if self._servers is None:
            raise NotKeptError("with `store: memory` usage is in the worker alone; use `embedded` or a server")
        store = self._config.store
        durable = store.kind == "embedded"
        return Accounts(self._servers, prefix=store.prefix, fence=store.fence, durable=durable, replicas=store.replicas)
