"""The outbox as a stream in Redis or Valkey, shared by all gateways through one consumer group.

The ledger's script adds an entry for each crossing, with the field `alert`. An entry stays pending for the gateway
that read it until it is done; those of a gateway that stopped touching them are taken over by another.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError
from redis.typing import StreamIdT

from gateway.alerts.outbox import Again, Entry
from gateway.model import Alert
from gateway.store import keys
from gateway.store.cancelling import heed_cancellation

log = logging.getLogger(__name__)

GROUP = "gateways"
FIELD = b"alert"
AGAIN = b"again"
CLAIM_AFTER = 60.0  # seconds without `keep` after which an entry's gateway is taken for dead
CLAIM_EVERY = 15.0
FIRST_PAUSE = 0.1  # seconds between attempts while the store is away, doubled up to
LONGEST_PAUSE = 5.0
SOME = 100  # identifiers in one command

RawEntry = tuple[bytes, dict[bytes, bytes] | None]


class StoreOutbox:
    """See Outbox. `redis` must wait longer for an answer than `block_seconds` (its `socket_timeout`), and not decode.

    `consumer` names this gateway: after a restart under the same name it goes on at once with what it left undone.
    `tag` is that of the server's stream; see keys.outbox. `refresh` looks where that is now, after a failure.
    """

    def __init__(
        self,
        redis: Redis,
        prefix: str,
        consumer: str,
        *,
        tag: str = "",
        refresh: Callable[[], Awaitable[object]] | None = None,
        claim_after: float = CLAIM_AFTER,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._redis = redis
        self._refresh = refresh
        self._stream = keys.outbox(prefix, tag)
        self._consumer = consumer
        self._claim_after = int(claim_after * 1000)
        self._sleep = sleep
        self._own: str | None = "0"  # how far our former life's entries were read; None: all
        self._next_claim = 0.0
        self._finished: set[str] = set()  # done, while the store could not be told
        self._failures = 0

    async def read(self, count: int, block_seconds: float) -> list[Entry]:
        """Our own former entries first, then those of the dead, then new ones."""
        try:
            await self._tell_finished()
            raw = await self._read(count, block_seconds)
        except (RedisError, OSError) as error:
            heed_cancellation()
            await self._recover(error)
            return []
        finally:
            heed_cancellation()
        self._recovered()
        return [entry for item in raw if (entry := await self._parse(item)) is not None]

    async def keep(self, entry_ids: Iterable[str]) -> None:
        """Claim them for ourselves once more, which resets their idle time."""
        ids: list[StreamIdT] = [*entry_ids]
        try:
            for start in range(0, len(ids), SOME):
                some = ids[start : start + SOME]
                await self._redis.xclaim(self._stream, GROUP, self._consumer, 0, some, justid=True)
        except (RedisError, OSError) as error:
            log.debug("the outbox could not be touched: %s", type(error).__name__)

    async def done(self, entry_id: str) -> None:
        """Acknowledge and delete; told again by the next `read` if the store cannot be told now."""
        self._finished.add(entry_id)
        try:
            await self._tell_finished()
        except (RedisError, OSError) as error:
            log.debug("the outbox will be told later: %s", type(error).__name__)

    async def send_again(self, alert: Alert, again: Again | None = None) -> None:
        """See Outbox."""
        fields = {FIELD: json.dumps(alert._asdict()), **({} if again is None else {AGAIN: json.dumps(again)})}
        await self._redis.xadd(self._stream, fields)  # type: ignore[arg-type]

    async def _tell_finished(self) -> None:
        if not self._finished:
            return
        ids = list(self._finished)[:SOME]
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.xack(self._stream, GROUP, *ids)
            pipe.xdel(self._stream, *ids)
            await pipe.execute()
        heed_cancellation()
        self._finished.difference_update(ids)

    async def _read(self, count: int, block_seconds: float) -> list[RawEntry]:
        if self._own is not None:
            raw = await self._read_group(self._own, count)
            self._own = raw[-1][0].decode() if raw else None
            if raw:
                return raw
        if raw := await self._claim(count):
            return raw
        return await self._read_group(">", count, max(1, int(block_seconds * 1000)))

    async def _read_group(self, start: str, count: int, block: int | None = None) -> list[RawEntry]:
        answer: Any = await self._redis.xreadgroup(
            GROUP, self._consumer, {self._stream: start}, count=count, block=block
        )
        return _entries(answer)

    async def _claim(self, count: int) -> list[RawEntry]:
        """What dead gateways left; looked for again at once while there is more."""
        now = asyncio.get_running_loop().time()
        if now < self._next_claim:
            return []
        answer: Any = await self._redis.xautoclaim(self._stream, GROUP, self._consumer, self._claim_after, count=count)
        claimed: list[RawEntry] = answer[1]
        if not claimed:
            self._next_claim = now + min(CLAIM_EVERY, self._claim_after / 1000)
        return claimed

    async def _recover(self, error: Exception) -> None:
        """Make the group anew where the store lost it, else wait a little, longer each time, and connect anew."""
        if isinstance(error, ResponseError) and str(error).startswith(("NOGROUP", "UNBLOCKED")):
            await self._make_group()
            return
        if self._failures == 0:
            log.warning("the outbox cannot be read: %s", error)
        longest = min(FIRST_PAUSE * 2 ** min(self._failures, 10), LONGEST_PAUSE)
        self._failures += 1
        await self._sleep(longest * random.uniform(0.5, 1.0))  # noqa: S311 - jitter
        if self._refresh is not None:
            await self._refresh()
        await self._redis.connection_pool.disconnect(inuse_connections=False)  # the stream may be elsewhere by now

    def _recovered(self) -> None:
        if self._failures:
            log.info("the outbox can be read again")
            self._failures = 0

    async def _make_group(self) -> None:
        """From the stream's beginning, so that entries older than the group count."""
        try:
            await self._redis.xgroup_create(self._stream, GROUP, id="0", mkstream=True)
        except (RedisError, OSError) as error:
            if not str(error).startswith("BUSYGROUP"):  # another gateway was first
                await self._recover(error)

    async def _parse(self, item: RawEntry) -> Entry | None:
        """An entry; what is none (deleted meanwhile, or not an alert) is removed, so that it blocks nothing."""
        entry_id, fields = item[0].decode(), item[1]
        try:
            return Entry(entry_id, Alert(**json.loads((fields or {})[FIELD])), _again(fields))
        except (KeyError, ValueError, TypeError):
            if fields:
                log.error("the outbox held an entry that is no alert", extra={"entry": entry_id})
            await self.done(entry_id)
            return None


def _entries(answer: Any) -> list[RawEntry]:
    """The entries in an XREADGROUP answer, as redis-py gives it for RESP3 (a mapping) and RESP2 (pairs)."""
    if isinstance(answer, dict):
        return [entry for pages in answer.values() for page in pages for entry in page]
    return [entry for _, page in answer or () for entry in page]


def _again(fields: dict[bytes, bytes] | None) -> Again | None:
    """What `send_again` said. Raises ValueError or TypeError for what it never says."""
    if not fields or AGAIN not in fields:
        return None
    to, since = json.loads(fields[AGAIN])
    return Again(tuple(map(str, to)), float(since))
