"""Connections to Redis or Valkey: addresses, TLS, passwords."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.connection import (
    AbstractConnection,
    Connection,
    ConnectionPool,
    UnixDomainSocketConnection,
    parse_url,
)
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.maint_notifications import MaintNotificationsConfig

from gateway.model import Address, Store

PATIENCE = 1.0  # seconds for an answer, whatever the ledger's timeout: a slow store is not left for a moment's delay
POOL = 16

Find = Callable[[], Awaitable[Address]]  # where the server is now; raises what connecting raises


class Tcp(Connection):
    """Finds its server when it connects, and speaks TLS if it has a `context`."""

    def __init__(self, *, find: Find, context: ssl.SSLContext | None = None, **options: Any) -> None:
        super().__init__(**options)
        self._find = find
        self._context = context

    async def _connect(self) -> None:
        self.host, self.port = await self._find()
        await super()._connect()  # type: ignore[no-untyped-call]

    def _connection_arguments(self) -> Mapping[str, Any]:
        return {**super()._connection_arguments(), "ssl": self._context}


class Dialer:
    """Makes connections and clients to one server, all alike. They retry nothing: who calls decides."""

    def __init__(self, kind: type[AbstractConnection], options: Mapping[str, Any]) -> None:
        self._kind = kind
        self._options = options

    def to(self, find: Find) -> Dialer:
        """The same to another server."""
        return Dialer(self._kind, {**self._options, "find": find})

    def connection(self) -> AbstractConnection:
        """One to be opened. It limits no time for an answer."""
        return self._kind(**{**self._options, "socket_timeout": None})

    def client(self) -> Redis:
        """An ordinary client, which connects when first used. Close it."""
        never = MaintNotificationsConfig(enabled=False)
        pool = ConnectionPool(self._kind, POOL, maint_notifications_config=never, **self._options)
        return Redis.from_pool(pool)


def dialer(store: Store, patience: float, find: Find | None = None) -> Dialer:
    """To the server of `store.url`, or to where `find` finds it.

    Raises ValueError for a bad URL, OSError (ssl.SSLError) for a CA or certificate that cannot be read.
    """
    common = _common(store, patience)
    if find is not None:
        context = tls_context(store) if store.tls else None
        return Dialer(Tcp, {**common, "db": store.database, "find": find, "context": context})
    if store.url is None:
        raise ValueError(f"a store of kind {store.kind!r} has no URL")
    parts: dict[str, Any] = {**parse_url(store.url)}
    if parts.pop("connection_class", None) is UnixDomainSocketConnection:
        return Dialer(UnixDomainSocketConnection, {**common, **parts})
    address = Address(parts.pop("host", "localhost"), parts.pop("port", 6379))
    context = tls_context(store) if store.url.startswith("rediss://") else None
    return Dialer(Tcp, {**common, **parts, "find": fixed(address), "context": context})


def connect(store: Store, *, patience: float = PATIENCE) -> Redis:
    """A client for `store.url`: redis://, rediss:// (TLS 1.2 or later, verified) or unix://; see `dialer`.

    `patience` in seconds is for an answer; who blocks in the store needs more.
    """
    return dialer(store, patience).client()


def fixed(address: Address) -> Find:
    """A server that stays where it is."""

    async def find() -> Address:
        return address

    return find


def tls_context(store: Store) -> ssl.SSLContext:
    """TLS 1.2 or later, verified: by `store.ca` alone where it is given."""
    context = ssl.create_default_context(cadata=None if store.ca is None else store.ca.read_text())
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if store.cert is not None:
        context.load_cert_chain(store.cert, store.key)
    return context


def _common(store: Store, patience: float) -> dict[str, Any]:
    limit = max(patience, 4 * store.timeout)
    return {
        "socket_timeout": limit,
        "socket_connect_timeout": limit,
        "retry": Retry(NoBackoff(), 0),
        "username": store.username,
        "password": store.password,
        "driver_info": None,  # nothing to say about ourselves, and so no right to say it needed
    }
