"""Knows which epoch a node is in, and tells a node that may have forgotten what is remembered."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence

from redis.exceptions import ResponseError

from gateway.quota.clock import StoreClock
from gateway.store.fence import Fence
from gateway.store.script import Command, Script, run_all
from gateway.store.topology import Link, Node

LOOK = 1.0  # seconds between looks at the store's epoch
SOON = 0.05  # seconds, where the fence should be open and is not
CALLS = 500  # in one round trip, so that none holds the store for long

OF_ONE_CALL = ("WRONGTYPE", "CORRUPT", "SUPERSEDED")  # errors that say nothing about the store

log = logging.getLogger(__name__)


class Watch:
    """Of one node. `remembered` gives what it may have forgotten, as calls that tell it; `opened` hears when the
    node grants again after it was fenced. `register` makes the outbox of a node's tag known to who delivers.
    """

    def __init__(
        self,
        node: Node,
        fence: Fence,
        clock: StoreClock,
        patience: float,
        remembered: Callable[[Node, Fence], Iterable[tuple[Script, Command]]],
        opened: Callable[[], None],
        register: Callable[[str], Awaitable[None]],
    ) -> None:
        self.fence = fence
        self.calls = 0
        self._node = node
        self._clock = clock
        self._patience = patience
        self._remembered = remembered
        self._opened = opened
        self._register = register
        self._registered = ""
        self._open_in = 0.0  # the last time from which it was seen to grant
        self._looked = -LOOK
        self._untold = False  # the node has to be told what is remembered
        self._opening: asyncio.TimerHandle | None = None

    @property
    def is_due(self) -> bool:
        """Whether it is time for a look."""
        return self._clock.local() - self._looked >= LOOK

    @property
    def fenced(self) -> bool:
        """Whether the node waits for what processes remember, and grants nothing. It does so once in an epoch."""
        if self._open_in != self.fence.opens and self._clock.earliest() >= self.fence.opens:
            self._open_in = self.fence.opens
        return self._open_in != self.fence.opens

    @property
    def closed(self) -> bool:
        """Whether no call may be made."""
        return self._untold or self.fenced

    def make_due(self) -> None:
        """Look again before the next call."""
        self._looked = -LOOK

    def same(self, epoch: int) -> bool:
        """Whether nothing is lost of what was in that epoch."""
        return epoch == self.fence.epoch or epoch in self.fence.intact

    async def keep(self, link: Link) -> None:
        """Open the link, look if it is due or leads to another server, and tell. Raises what the link does."""
        run = await link.open(self._patience)
        if run != self.fence.run or self.is_due:
            await self._look(link, run)
        if self._untold:
            await self._publish(link)
        if (tag := self._node.tag) != self._registered:
            await self._register(tag)
            self._registered = tag

    def close(self) -> None:
        """Stop waiting for the fence."""
        if self._opening is not None:
            self._opening.cancel()

    async def _look(self, link: Link, run: str) -> None:
        sent = self._clock.local()
        look = await self.fence.look(link, run, self._clock.seen, self._patience)
        self._clock.learn(look.now, sent, self._clock.local())
        self.calls += 1
        self._looked = sent
        if self.fence.learn(look, run):
            log.warning("%s may have lost data: it is told what is remembered here", self._node.name)
            self._untold = True
            self._registered = ""
        if self.fenced and self._opening is None:
            wait = self.fence.opens - self._clock.earliest()
            log.warning("%s is fenced for %.1f s: gateways tell it what they remember", self._node.name, wait)
            self._opening = asyncio.get_running_loop().call_later(wait, self._open)

    def _open(self) -> None:
        self._opening = None
        if self.fenced:
            self._opening = asyncio.get_running_loop().call_later(SOON, self._open)
        else:
            self._opened()

    async def _publish(self, link: Link) -> None:
        """All of it again if that fails in between."""
        chunk: list[tuple[Script, Command]] = []
        for call in self._remembered(self._node, self.fence):
            chunk.append(call)
            if len(chunk) == CALLS:
                await self._tell(link, chunk)
                chunk = []
        await self._tell(link, chunk)
        self._untold = False

    async def _tell(self, link: Link, chunk: Sequence[tuple[Script, Command]]) -> None:
        for answer in await run_all(link, chunk, self._patience) if chunk else ():
            self.calls += 1
            if isinstance(answer, ResponseError) and not str(answer).startswith(OF_ONE_CALL):
                raise answer
