"""Who is suspended, for going over a limit or by hand, and resumed; with a line in the log for each."""

from __future__ import annotations

import logging
from typing import Any

from gateway.model import Per
from gateway.process.usage import Order, UsageDesk
from gateway.quota.backup import written
from gateway.quota.owners import UnknownError, limits_in
from gateway.quota.suspensions import SUSPENDED, suspended
from gateway.store.marks import Mark, Marks
from gateway.store.store_marks import hear

BY_HAND = "by hand"  # in place of a limit that was gone over

log = logging.getLogger("gateway.audit")


class SuspensionDesk:
    """Of one gateway. What is asked raises UnknownError and StoreError, and what UsageDesk raises."""

    def __init__(self, marks: Marks, usage: UsageDesk) -> None:
        self._marks = marks
        self._usage = usage

    async def show(self, application: str | None) -> list[dict[str, Any]]:
        """Those of an application, of one scope, or (None) all."""
        await hear(self._marks)
        return [_told(scope, mark) for scope, mark in suspended(self._marks, application).items()]

    async def suspend(self, order: Order) -> list[dict[str, Any]]:
        """Serve an application, or one of its scopes, no more, on all gateways within a second."""
        if order.application not in self._usage.config.applications:
            limits = limits_in(self._usage.config, order.application)  # raises UnknownError for what is no scope either
            if any(limit.per in (Per.ADDRESS, Per.SERVICE) for limit in limits):
                raise UnknownError("addresses and services cannot be suspended; name an application, user or account")
        mark = await self._marks.set(SUSPENDED, order.application, BY_HAND)
        self._log("suspend", order, order.application, None, None)
        return [_told(order.application, mark)]

    async def resume(self, order: Order, *, reset: bool) -> list[dict[str, Any]]:
        """Serve them again, on all gateways within a second. With `reset` what they have spent of the limit that they
        went over is forgotten first: else the next request in the same window may suspend them again.
        """
        await hear(self._marks)
        found = suspended(self._marks, order.application)
        if not found:
            raise UnknownError(f"nobody called '{order.application}' is suspended")
        for scope, mark in found.items():
            limit, of, plan = mark.value.rpartition(" of ")
            went_over = (plan, limit) if of else (None, None)
            if reset:
                await self._usage.reset(order._replace(application=scope, plan=went_over[0], limit=went_over[1]))
            await self._marks.clear(SUSPENDED, scope)
            self._log("resume", order, scope, *went_over)
        return [_told(scope, mark) for scope, mark in found.items()]

    def _log(self, action: str, order: Order, scope: str, plan: str | None, limit: str | None) -> None:
        who = {"action": f"usage.{action}", "by": order.by, "user": order.user, "peer": order.peer}
        log.info("usage %s", action, extra={**who, "application": scope, "limit": limit, "plan": plan})


def _told(scope: str, mark: Mark) -> dict[str, Any]:
    """For JSON. `over` is the limit, or that it was by hand; `since` in RFC 3339."""
    return {"scope": scope, "over": mark.value, "since": written(mark.since)}
