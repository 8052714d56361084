"""Connections to Redis or Valkey."""

from __future__ import annotations

import ssl
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.maint_notifications import MaintNotificationsConfig

from gateway.model import Store

PATIENCE = 1.0  # seconds for an answer, whatever the ledger's timeout: a slow store is not left for a moment's delay
POOL = 16


def connect(store: Store, *, patience: float = PATIENCE) -> Redis:
    """A client for `store.url`: redis://, rediss:// (TLS 1.2 or later, verified) or unix://.

    `patience` in seconds is for an answer; who blocks in the store needs more.

    Connects when first used. It retries nothing: who calls decides. Raises ValueError for a bad URL, OSError for a
    CA file that cannot be read.
    """
    if store.url is None:
        raise ValueError(f"a store of kind {store.kind!r} has no URL")
    options: dict[str, Any] = {}
    if store.url.startswith("rediss://"):
        options["ssl_min_version"] = ssl.TLSVersion.TLSv1_2
        if store.ca is not None:
            options["ssl_ca_data"] = store.ca.read_text()
    if store.password is not None:
        options["password"] = store.password
    return Redis.from_url(
        store.url,
        socket_timeout=max(patience, 4 * store.timeout),
        socket_connect_timeout=max(patience, 4 * store.timeout),
        max_connections=POOL,
        retry=Retry(NoBackoff(), 0),
        maint_notifications_config=MaintNotificationsConfig(enabled=False),
        **options,
    )
