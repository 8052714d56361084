"""Settles for a worker that died: what it used is reported, what it had in hand goes back."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable
from typing import NamedTuple

from redis.exceptions import RedisError, ResponseError

from gateway.quota.calls import CONSUME, REMEMBERED, Answer, call_key, command
from gateway.quota.clock import boottime
from gateway.quota.dispatch import PATIENCE
from gateway.quota.page import Legacy, read_page
from gateway.quota.pools.calls import POOLS, left_behind
from gateway.store import StoreError, keys
from gateway.store.fence import Fence
from gateway.store.topology import Link, Node, Topology

AGAIN = 0.5  # seconds between attempts while the store is away
LONGEST = 86_400.0  # seconds after which nobody tries any more

log = logging.getLogger(__name__)


class Share(NamedTuple):
    """What a dead process owes of a counter, and has of it."""

    legacy: Legacy
    used: int
    apart: int
    back: int


class Attempt(NamedTuple):
    """A report that was sent: when, and in which epoch of the store."""

    at: float
    epoch: int


class Settler:
    """For the workers of one gateway. See StoreLedger for the options."""

    def __init__(
        self,
        topology: Topology,
        *,
        prefix: str,
        fence: float = 5.0,
        durable: bool = False,
        clock: Callable[[], float] = boottime,
    ) -> None:
        self._topology = topology
        self._prefix = prefix
        self._clock = clock
        self._process = f"settler-{secrets.token_hex(4)}"
        self._options = {"seconds": fence, "durable": durable}

    async def settle(self, fd: int) -> int:
        """Settle for the process whose page `fd` is; gives the units that went back.

        Tries as long as the store is away; safe to do twice, and to give up.
        """
        died = self._clock()
        process, number, left = read_page(fd)
        by_tag: dict[str, list[Legacy]] = {}
        for legacy in left:
            if legacy.is_pool or legacy.leased or legacy.used or legacy.apart or legacy.call:
                by_tag.setdefault(tag_of(legacy.entry.key), []).append(legacy)
        units = 0
        tried: dict[str, Attempt] = {}
        while by_tag and self._clock() - died < LONGEST:
            tag, legacies = next(iter(by_tag.items()))
            try:
                units += await self._settle(tag, process, number, legacies, self._clock() - died, tried)
            except (RedisError, OSError, StoreError) as error:
                log.debug("the leases of a worker cannot be settled yet: %s", error)
                await asyncio.sleep(AGAIN)
                await self._topology.refresh()
            else:
                del by_tag[tag]
        return units

    async def _settle(
        self, tag: str, process: str, number: int, legacies: list[Legacy], late: float, tried: dict[str, Attempt]
    ) -> int:
        node = self._topology.node(tag)
        link = node.link()
        try:
            fence = await self._look(node, link)
            if self._may_be_forgotten(tried.get(tag), fence):
                log.warning("nobody knows whether a worker was settled for; units of %s may stay held", tag)
                return 0
            pools = [legacy.entry for legacy in legacies if legacy.is_pool]
            if pools:
                await POOLS.run(link, [left_behind(pools, process, number + 1, fence)], PATIENCE)
            legacies = [legacy for legacy in legacies if not legacy.is_pool]
            if not legacies:
                return 0
            books = _Books(link, fence, keys.outbox(self._prefix, node.tag), call_key(legacies[0].entry.key, process))
            last = await books.last(number + 1)
            if last is None:
                return 0
            shares = [share_of(legacy, last, fence, late) for legacy in legacies]
            tried.setdefault(tag, Attempt(self._clock(), fence.epoch))
            await books.call(number + 2, shares, 0)
        finally:
            await link.close()
        return sum(share.back for share in shares)

    def _may_be_forgotten(self, attempt: Attempt | None, fence: Fence) -> bool:
        """Whether a report that was sent would be done a second time."""
        if attempt is None:
            return False
        lost = attempt.epoch not in (fence.epoch, *fence.intact)
        return lost or self._clock() - attempt.at >= REMEMBERED / 2

    async def _look(self, node: Node, link: Link) -> Fence:
        fence = Fence(self._prefix, node, self._process, **self._options)  # type: ignore[arg-type]
        run = await link.open(PATIENCE)
        fence.learn(await fence.look(link, run, 0.0, PATIENCE), run)
        return fence


class _Books(NamedTuple):
    """Calls in the name of the dead process."""

    link: Link
    fence: Fence
    outbox: str
    key: str

    async def last(self, number: int) -> str | None:
        """The dead process's last call; None: it has been settled for, and the answer was lost."""
        try:
            return (await self.call(number, [], 1)).last
        except ResponseError as error:
            if str(error).startswith("SUPERSEDED"):
                return None
            raise

    async def call(self, number: int, shares: list[Share], last: int) -> Answer:
        rows: list[str | int] = [len(shares)]
        for legacy, used, apart, back in shares:
            rows += (*legacy.entry.row, used, apart, 0, back, 0, *legacy.entry.tail)
        rows.append(0)
        counters = [share.legacy.entry.key for share in shares]
        sent = command(self.key, counters, number, 0.0, self.fence, self.outbox, rows, last)
        (answer,) = await CONSUME.run(self.link, [sent], PATIENCE)
        if isinstance(answer, ResponseError):
            raise answer
        return Answer.parse(answer)


def tag_of(key: str) -> str:
    """The hash tag in a counter's key."""
    return key.partition("{")[2].partition("}")[0]


def share_of(legacy: Legacy, last: str, fence: Fence, late: float) -> Share:
    """What is owed and had, once it is known whether the call that was under way had been done.

    `last` is the process's last call as the store remembers it, `late` how long ago it died (seconds).
    """
    base = Share(
        legacy, legacy.used - legacy.told, legacy.apart - legacy.told_apart, max(0, legacy.leased - legacy.used)
    )
    if not legacy.call:
        return base
    number, _, answer = last.partition(" ")
    if number == str(legacy.call):
        state = Answer.parse(answer.encode()).states[legacy.row]
        direct, ahead = (state.direct, state.ahead) if state is not None else (0, 0)
        leased = legacy.leased - legacy.sent_back + direct + ahead
        return Share(
            legacy,
            legacy.used - legacy.sent_used - direct,
            legacy.apart - legacy.sent_apart,
            max(0, leased - legacy.used),
        )
    if late < REMEMBERED / 2 and legacy.sent_epoch in (fence.epoch, *fence.intact):
        return base  # it was not done, and will not be
    reported = max(0, legacy.sent_used - legacy.told)  # less is a return, done or not
    return Share(
        legacy,
        legacy.used - legacy.sent_used,
        legacy.apart - legacy.told_apart + reported,
        max(0, legacy.leased - legacy.sent_back - legacy.used),
    )
