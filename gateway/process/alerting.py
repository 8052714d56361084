"""Alerts' delivery as the supervisor composes it."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack

import httpx2

from gateway.alerts.channels import Channel, LogChannel, WebhookChannel
from gateway.alerts.delivery import Deliverer
from gateway.alerts.outbox import MemoryOutbox, Outbox
from gateway.alerts.outboxes import PATIENCE, Outboxes
from gateway.alerts.store_outbox import StoreOutbox
from gateway.model import Alert, Config
from gateway.process.background import background
from gateway.store.topology import topology

log = logging.getLogger("gateway.alerts")


class Alerting:
    """Delivers what the workers raise, from `start` until the stack unwinds. `count` hears of each alert."""

    def __init__(self, count: Callable[[str], None]) -> None:
        self._count = count
        self._memory = MemoryOutbox()
        self._always = LogChannel(log)
        self._channels: dict[str, Channel] = {}
        self._plans: dict[str, tuple[str, ...]] = {}  # whose channels they are

    async def start(self, stack: AsyncExitStack, config: Config) -> None:
        """`config` with the store's URL."""
        self._http = await stack.enter_async_context(httpx2.AsyncClient(follow_redirects=False))
        self.take(config)
        background(stack, Deliverer(self._outbox(stack, config), self._channels_of, log, self._count).run())

    def take(self, config: Config) -> None:
        """Channels for what is delivered from now on."""
        channels = config.channels.values()
        self._channels = {c.name: WebhookChannel(c.name, c.url, c.secret, self._http) for c in channels}
        self._plans = {name: plan.channels for name, plan in config.plans.items()}

    def push(self, alert: Alert) -> None:
        """What a worker tells that has no store."""
        self._memory.push(alert)

    def _channels_of(self, plan: str) -> Sequence[Channel]:
        return (self._always, *(self._channels[name] for name in self._plans.get(plan, ())))

    def _outbox(self, stack: AsyncExitStack, config: Config) -> Outbox:
        if config.store.kind == "memory":
            return self._memory
        servers = topology(config.store)
        stack.push_async_callback(servers.close)
        prefix, consumer = config.store.prefix, f"{socket.gethostname()}:{config.listen[0]}"
        if config.store.kind == "cluster":
            outboxes = Outboxes(servers, prefix, consumer)
            stack.push_async_callback(outboxes.close)
            return outboxes
        redis = servers.client(patience=PATIENCE)
        stack.push_async_callback(redis.aclose)
        return StoreOutbox(redis, prefix, consumer)
