"""A client reads its own usage: of all limits that hold for it at a service, as JSON. It costs nothing."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from gateway.errors import Unavailable
from gateway.gate import Admission
from gateway.gate.charges import whose
from gateway.model import (
    NO_PLAN,
    Application,
    Config,
    Identity,
    Limit,
    Per,
    Plan,
    Service,
    limits_of,
    plans_of,
    shown,
)
from gateway.proxy.local import Event
from gateway.quota.adjust import Account
from gateway.quota.backup import written
from gateway.quota.crossings import metric_of
from gateway.store import StoreError

FRESH = 1.0  # seconds for which the store is not asked again about a scope
MOST = 1_000  # scopes that are remembered


class Reader(Protocol):
    """What was counted."""

    async def read(self, scope: str, limits: Sequence[Limit]) -> list[Account]:
        """In the windows that are open. Raises StoreError."""


class UsagePage:
    """An ASGI application; see proxy.local. Its requests were admitted."""

    def __init__(self, config: Config, reader: Reader, clock: Callable[[], float] = time.monotonic) -> None:
        self._config = config
        self._reader = reader
        self._clock = clock
        self._known: dict[tuple[str, str], tuple[float, list[Account]]] = {}  # by scope and service

    async def __call__(self, scope: Event, receive: object, send: Callable[[Event], Any]) -> None:
        body = json.dumps(await self.told(scope["state"]["admission"], scope["client"][0])).encode()
        headers = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def told(self, admission: Admission, peer: str) -> dict[str, Any]:
        """For JSON. Raises Unavailable where the store is away."""
        subscription = admission.subscription
        contract = subscription.application, subscription.plan
        return await self.standing(*contract, admission.identity, admission.route.service, peer)

    async def standing(
        self, application: Application, plan: Plan, identity: Identity, service: Service, peer: str
    ) -> dict[str, Any]:
        """The same, of whoever would be let in under this plan."""
        scopes = whose(application, identity, peer, service)
        limits = limits_of(plans_of(self._config, application), service.name)
        try:
            rows = [row for per in Per for row in await self._read(scopes[per], service.name, _of(per, limits))]
        except StoreError:
            raise Unavailable("usage cannot be read at the moment", code="ledger_down") from None
        return {"application": scopes[Per.APPLICATION], "plan": plan.name, "limits": [*map(_told, rows)]}

    async def _read(self, scope: str, service: str, limits: list[Limit]) -> list[Account]:
        if not limits:
            return []
        at, rows = self._known.get((scope, service), (0.0, None))
        if rows is None or self._clock() >= at + FRESH:
            rows = await self._reader.read(scope, limits)
            self._known.pop((scope, service), None)
            self._known[scope, service] = self._clock(), rows
            if len(self._known) > MOST:
                del self._known[next(iter(self._known))]
        return rows


def _of(per: Per, limits: Iterable[Limit]) -> list[Limit]:
    """Those of which clients hear: not a service's own, nor what is in shadow."""
    return [limit for limit in shown(limits) if limit.per is per and limit.plan != NO_PLAN and not limit.shadow]


def _told(account: Account) -> dict[str, Any]:
    limit, here, units = account
    most = max(limit.value, limit.leased + units.topped)
    return {
        "plan": limit.plan,
        "metric": metric_of(limit),
        "period": limit.period.value,
        "per": limit.per.value,
        "limit": most,
        "used": units.spent,
        "remaining": max(0, most - units.spent),
        "resets_at": None if here.end is None else written(here.end),
    }
