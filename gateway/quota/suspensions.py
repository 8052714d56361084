"""Applications that are suspended because they went over a limit: marks, so that all gateways know within a second."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping

from gateway.model import Limit
from gateway.quota.crossings import metric_of
from gateway.store import StoreError
from gateway.store.marks import Mark, Marks
from gateway.store.store_marks import hear

SUSPENDED = "suspended"  # the kind of mark; its name is the scope that was counted, its value says over what

log = logging.getLogger("gateway.audit")


class Suspensions:
    """As the gate sees them."""

    def __init__(self, marks: Marks) -> None:
        self._marks = marks
        self._tasks: dict[str, asyncio.Task[None]] = {}

    @property
    def known(self) -> bool:
        """Whether it was heard yet who is suspended."""
        return self._marks.known

    def find(self, scope: str) -> bool:
        """Whether a scope is suspended."""
        return self._marks.get(SUSPENDED, scope) is not None

    def suspend(self, scope: str, limit: Limit) -> None:
        """From now on, until somebody resumes it. Where the store cannot be told, the next request tries again."""
        if scope not in self._tasks and not self.find(scope):
            task = asyncio.get_running_loop().create_task(self._set(scope, limit))
            self._tasks[scope] = task
            task.add_done_callback(lambda _: self._tasks.pop(scope, None))

    async def _set(self, scope: str, limit: Limit) -> None:
        over = f"{metric_of(limit)}/{limit.period} of {limit.plan}"
        about = {"action": "usage.suspend", "application": scope, "limit": over}
        try:
            await hear(self._marks)
            if self.find(scope):  # by who was sooner, or by hand: what it is for stays
                return
            await self._marks.set(SUSPENDED, scope, over)
        except StoreError as error:
            log.warning("usage suspend failed: %s", error, extra=about)
        else:
            log.warning("usage suspend", extra=about)


def suspended(marks: Marks, application: str | None = None) -> Mapping[str, Mark]:
    """By scope: one, those of an application with its clients and users, or (None) all."""
    found = marks.listed(SUSPENDED)
    return {scope: found[scope] for scope in sorted(found) if application is None or application in owners(scope)}


def owners(scope: str) -> tuple[str, str]:
    """The scope, and the application in it."""
    kind, colon, rest = scope.partition(":")
    inside = rest if colon and kind in ("user", "address") else scope
    return scope, inside.partition("/")[0]
