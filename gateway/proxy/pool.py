"""An upstream's connections: kept alive, taken in turn over its targets, opened where none is idle."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from functools import partial
from typing import NamedTuple, cast

from gateway.errors import BadGateway, GatewayError, GatewayTimeout, forget_way
from gateway.http.head import IDEMPOTENT
from gateway.model import Target, Upstream
from gateway.proxy.exchange import Exchange
from gateway.proxy.kernel import bound_both
from gateway.proxy.opening import Opening
from gateway.proxy.tls import reloaded_client
from gateway.proxy.upstream import UpstreamConnection
from gateway.proxy.wire import protocol

log = logging.getLogger("gateway.upstream")

MAX_IDLE = 256  # a target; more are closed when they come back
KEEP_IDLE = 30.0  # seconds


class Waiter(NamedTuple):
    """A request without a connection."""

    exchange: Exchange
    left: int  # targets that are yet to be tried where this one cannot be reached


class Endpoint:
    """One target, its idle connections, the last used first, and the requests that wait for one.

    Each of those is sent by the first connection that is free: one that is opened, or that has answered. So
    many are being opened as there are requests waiting, or more.
    """

    def __init__(self, target: Target, host_field: bytes) -> None:
        self.target = target
        self.name = str(target)
        self.host_field = host_field
        self.idle: deque[UpstreamConnection] = deque()
        self.waiting: deque[Waiter] = deque()
        self.open = 0
        self.opening = 0

    def __repr__(self) -> str:
        return f"<Endpoint {self.name} {len(self.idle)} idle of {self.open}>"

    def next_for(self, *, used: bool) -> Waiter | None:
        """Whose turn it is. What is sent for the second time waits for a connection that was not `used` before."""
        waiting = self.waiting
        while waiting and waiting[0].exchange.client is None:  # it went away meanwhile
            waiting.popleft()
        for place, waiter in enumerate(waiting):
            if waiter.exchange.client is not None and not (used and waiter.exchange.retried):
                del waiting[place]
                return waiter
        return None


class Pool:
    """All connections to one upstream. Single-threaded, as all of a worker."""

    def __init__(self, upstream: Upstream, loop: asyncio.AbstractEventLoop) -> None:
        """Raises OSError and ssl.SSLError for unusable certificates."""
        self.upstream = upstream
        self.timeouts = upstream.timeouts
        self._loop = loop
        self._tls = reloaded_client(upstream.tls) if any(t.tls for t in upstream.targets) else None
        self._endpoints = [Endpoint(t, authority(t)) for t in upstream.targets]
        self._turn = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self.closing = False

    def __repr__(self) -> str:
        return f"<Pool {self.upstream.name} {self._endpoints}>"

    @property
    def generation(self) -> int:
        return 0 if self._tls is None else self._tls.generation

    def counts(self) -> tuple[int, int]:
        """Connections (open, idle)."""
        return sum(e.open for e in self._endpoints), sum(len(e.idle) for e in self._endpoints)

    def dispatch(self, exchange: Exchange) -> None:
        """Sends the request by an idle connection of the target whose turn it is, or by the first that is free."""
        endpoint = self._endpoints[self._turn]
        self._turn = (self._turn + 1) % len(self._endpoints)
        self._send(exchange, endpoint, len(self._endpoints) - 1)

    def _send(self, exchange: Exchange, endpoint: Endpoint, left: int) -> None:
        idle = endpoint.idle
        while idle:
            connection = idle.pop()
            if connection.reusable(exchange.method in IDEMPOTENT):
                connection.send(exchange)
                return
            connection.close()
        self._wait(exchange, endpoint, left)

    def connect(self, exchange: Exchange, endpoint: Endpoint) -> None:
        """Sends a request that was sent before by a new connection; other targets are tried where none can be made."""
        self._wait(exchange, endpoint, len(self._endpoints) - 1)

    def _wait(self, exchange: Exchange, endpoint: Endpoint, left: int) -> None:
        endpoint.waiting.append(Waiter(exchange, left))
        if endpoint.opening < len(endpoint.waiting):
            endpoint.opening += 1
            task = self._loop.create_task(self._connect(endpoint))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _connect(self, endpoint: Endpoint) -> None:
        try:
            connection = await self._open(endpoint)
        except TimeoutError:
            error: GatewayError = GatewayTimeout("the upstream did not accept a connection in time")
            log.warning("%s: %s: no connection in time", self.upstream.name, endpoint.name)
        except Exception as cause:  # whatever a resolver, TLS or the loop raises: the request must be answered
            error = BadGateway("the upstream cannot be reached")
            log.warning("%s: %s: %s", self.upstream.name, endpoint.name, cause)
            forget_way(cause)  # a loop's frames may hold it
        else:
            endpoint.opening -= 1
            self._opened(connection)
            return
        endpoint.opening -= 1
        if endpoint.opening < len(endpoint.waiting):
            self._unreachable(endpoint, error)

    def _opened(self, connection: UpstreamConnection) -> None:
        if connection.transport is not None and not connection.transport.is_closing():
            self.release(connection)
            return
        waiter = connection.endpoint.next_for(used=False)
        if waiter is not None and waiter.exchange.client is not None:
            error = BadGateway("the upstream closed the connection", code="upstream_broken")
            waiter.exchange.client.refuse(waiter.exchange, error)

    def _unreachable(self, endpoint: Endpoint, error: GatewayError) -> None:
        """One who waits goes on to the next target, or hears it."""
        waiter = endpoint.next_for(used=False)
        if waiter is None or waiter.exchange.client is None:
            return
        if waiter.left:
            following = (self._endpoints.index(endpoint) + 1) % len(self._endpoints)
            self._send(waiter.exchange, self._endpoints[following], waiter.left - 1)
        else:
            waiter.exchange.client.refuse(waiter.exchange, error)

    async def _open(self, endpoint: Endpoint) -> UpstreamConnection:
        target = endpoint.target
        # of the generation of the context that is used, though files may change meanwhile
        make = partial(UpstreamConnection, self, endpoint, self.generation)
        async with asyncio.timeout(self.timeouts.connect):
            if self._tls is None or not target.tls:
                plain, made = await self._loop.create_connection(lambda: protocol(make()), target.host, target.port)
                bound_both(plain)
                return cast("UpstreamConnection", made)
            context, server = self._tls.context, self.upstream.tls.verify_name or target.host
            transport, opening = await self._loop.create_connection(
                lambda: Opening(context, server, make), target.host, target.port
            )
            bound_both(transport)
            try:
                return await opening.ready
            except BaseException:  # the time is up, as well
                transport.abort()
                raise

    def release(self, connection: UpstreamConnection) -> None:
        """Takes a connection that is free: a new one, or one whose answer is complete."""
        endpoint = connection.endpoint
        connection.idle_since = connection.active
        if endpoint.waiting and (not connection.used or connection.reusable(idempotent=False)):
            waiter = endpoint.next_for(used=connection.used)
            if waiter is not None:
                connection.send(waiter.exchange)
                return
        idle = endpoint.idle
        if self.closing or connection.generation != self.generation or len(idle) >= MAX_IDLE:
            connection.close()
        else:
            connection.used = True  # or idle for a while: the peer may close it at any moment
            idle.append(connection)

    def sweep(self, now: float) -> None:
        """Closes what was idle too long; `now` is monotonic."""
        for endpoint in self._endpoints:
            idle = endpoint.idle
            while idle and now - idle[0].idle_since > KEEP_IDLE:
                idle.popleft().close()

    def reload_certificates(self) -> None:
        """Takes changed certificate files; idle connections made with the old ones are closed."""
        if self._tls is not None and self._tls.refresh():
            self._close_idle()

    def close(self) -> None:
        """No connection is kept from now on; those in use close when their answer is complete."""
        self.closing = True
        self._close_idle()

    def _close_idle(self) -> None:
        for endpoint in self._endpoints:
            for connection in endpoint.idle:
                connection.close()
            endpoint.idle.clear()


def authority(target: Target) -> bytes:
    """The Host field for a target (RFC 9110 7.2): the port only where it is not the scheme's."""
    host = f"[{target.host}]" if ":" in target.host else target.host
    default = 443 if target.tls else 80
    return (host if target.port == default else f"{host}:{target.port}").encode()
