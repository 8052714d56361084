"""API keys as operators revoke them: marks, which all gateways know within a second, and a line in the log for each."""

from __future__ import annotations

import logging
import time
from typing import Any, NamedTuple

from gateway.identity.revocations import KEY
from gateway.quota.backup import written
from gateway.store.key_uses import KeyUses
from gateway.store.marks import Mark, Marks
from gateway.store.store_marks import hear

log = logging.getLogger("gateway.audit")


class KeyOrder(NamedTuple):
    """What an operator asks for. `at`: from when on, in Unix seconds; None: at once. `by` is who he says he is; the
    system knows him as `user`, at the address `peer`.
    """

    digest: str
    at: float | None = None
    by: str | None = None
    peer: str = ""
    user: str | None = None


class KeyDesk:
    """Of one gateway. What is asked raises StoreError."""

    def __init__(self, marks: Marks, uses: KeyUses) -> None:
        self._marks = marks
        self._uses = uses

    async def show(self) -> list[dict[str, Any]]:
        """What was revoked, and from when on."""
        await hear(self._marks)
        found = self._marks.listed(KEY)
        return [_told(digest, found[digest]) for digest in sorted(found)]

    async def used(self) -> dict[str, str]:
        """When keys were last used, by digest."""
        return {digest: written(moment) for digest, moment in sorted((await self._uses.all()).items())}

    async def revoke(self, order: KeyOrder) -> dict[str, Any]:
        """From now on, or from a moment on. What was said before of the key does not hold any more."""
        value = "" if order.at is None else repr(order.at)
        mark = await self._marks.set(KEY, order.digest, value)
        self._log("revoke", order)
        return _told(order.digest, mark)

    async def restore(self, order: KeyOrder) -> bool:
        """It serves again, as far as the files say so; whether it was revoked."""
        await hear(self._marks)
        was = self._marks.get(KEY, order.digest) is not None
        await self._marks.clear(KEY, order.digest)
        self._log("restore", order)
        return was

    def _log(self, action: str, order: KeyOrder) -> None:
        at = {} if order.at is None else {"at": written(order.at)}
        who = {"action": f"keys.{action}", "by": order.by, "user": order.user, "peer": order.peer}
        log.info("key %s", action, extra={**who, "digest": order.digest, **at})


def _told(digest: str, mark: Mark) -> dict[str, Any]:
    """For JSON, with times in RFC 3339. `at` None: since it was said."""
    at = float(mark.value) if mark.value else None
    return {
        "digest": digest,
        "since": written(mark.since),
        "at": None if at is None else written(at),
        "acts": at is None or at <= time.time(),
    }
