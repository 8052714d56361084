"""Who is suspended for going over a limit, and that somebody resumes it; with a line in the log."""

from __future__ import annotations

import logging
from typing import Any

from gateway.process.usage import Order, UsageDesk
from gateway.quota.backup import written
from gateway.quota.owners import UnknownError
from gateway.quota.suspensions import SUSPENDED, suspended
from gateway.store.marks import Mark, Marks

log = logging.getLogger("gateway.audit")


class SuspensionDesk:
    """Of one gateway. What is asked raises UnknownError and StoreError, and what UsageDesk raises."""

    def __init__(self, marks: Marks, usage: UsageDesk) -> None:
        self._marks = marks
        self._usage = usage

    def show(self, application: str | None) -> list[dict[str, Any]]:
        """Those of an application, of one scope, or (None) all."""
        return [_told(scope, mark) for scope, mark in suspended(self._marks, application).items()]

    async def resume(self, order: Order, *, reset: bool) -> list[dict[str, Any]]:
        """Serve them again, on all gateways within a second. With `reset` what they have spent of the limit that they
        went over is forgotten first: else the next request in the same window may suspend them again.
        """
        found = suspended(self._marks, order.application)
        if not found:
            raise UnknownError(f"nobody called '{order.application}' is suspended")
        for scope, mark in found.items():
            limit, _, plan = mark.value.rpartition(" of ")
            if reset:
                await self._usage.reset(order._replace(application=scope, plan=plan, limit=limit))
            await self._marks.clear(SUSPENDED, scope)
            who = {"action": "usage.resume", "by": order.by, "user": order.user, "peer": order.peer}
            log.info("usage resume", extra={**who, "application": scope, "limit": limit, "plan": plan})
        return [_told(scope, mark) for scope, mark in found.items()]


def _told(scope: str, mark: Mark) -> dict[str, Any]:
    """For JSON. `over` is the limit; `since` in RFC 3339."""
    return {"scope": scope, "over": mark.value, "since": written(mark.since)}
