"""Puts the counters of a back-up into a store, those of a scope in one step each; see restore.lua for what is done."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from redis.exceptions import NoPermissionError, RedisError, ResponseError

from gateway.quota.backup import BackupError, Saved
from gateway.quota.meters import dropped
from gateway.store import StoreAway, StoreError
from gateway.store.connection import PATIENCE
from gateway.store.fence import Fence
from gateway.store.keys import Counted
from gateway.store.script import Command, Script
from gateway.store.topology import Link, Node, Topology

SCOPES = 50  # in one round trip, so that none holds the store for long
PAUSE = 0.1  # seconds between attempts
LONGEST = 30.0  # seconds of attempts in a row that lead to nothing, beside the fence
REPLICATION = 5_000  # milliseconds for replicas to have it

RESTORE = Script("gateway.quota", "restore.lua")

log = logging.getLogger(__name__)


class Selection(NamedTuple):
    """What is to be put back, by hash tag; `ended` and `all` count what the back-up holds."""

    scopes: dict[str, list[Saved]]
    ended: int
    all: int


def select(counters: Iterable[Saved], now: float) -> Selection:
    """What of a back-up matters at `now`, the store's time: windows that have ended do not.

    Takes all of it, so that a fault anywhere is found before anything is written. Raises BackupError.
    """
    scopes: dict[str, list[Saved]] = {}
    known: set[Counted] = set()
    everything = 0
    for everything, saved in enumerate(counters, 1):
        if saved.window.end is not None and saved.window.end <= now:
            continue
        if saved.name in known:
            raise BackupError(f"line {everything + 1}: this counter is there twice; a file holds one back-up")
        known.add(saved.name)
        scopes.setdefault(saved.name.tag, []).append(saved)
    return Selection(scopes, everything - len(known), everything)


class Restorer:
    """For one import. `fence`: seconds for which a store that may have lost data waits for gateways; `durable`: a
    restart of it loses nothing; `replicas`: how many must have what is written. See StoreLedger. `on_wait` hears for
    how many seconds nothing can be done.
    """

    def __init__(
        self,
        topology: Topology,
        *,
        prefix: str,
        fence: float,
        durable: bool,
        replicas: int,
        replace: bool = False,
        on_wait: Callable[[float], None] = lambda seconds: None,
    ) -> None:
        self._topology = topology
        self._prefix = prefix
        self._options = {"seconds": fence, "durable": durable}
        self._process = f"restorer-{secrets.token_hex(4)}"
        self._after: tuple[Command, ...] = (("WAIT", replicas, REPLICATION),) if replicas else ()
        self._replicas = replicas
        self._replace = replace
        self._on_wait = on_wait
        self._changed = 0

    async def restore(self, scopes: dict[str, list[Saved]]) -> int:
        """How many counters were changed. Raises StoreError; what was put back until then stays, and it may be done
        again.
        """
        left = dict(scopes)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + LONGEST
        while left:
            try:
                await self._restore_some(left)
                deadline = loop.time() + LONGEST
            except NoPermissionError as error:
                raise StoreError(f"the store permits too little; `gateway doctor` says what: {error}") from error
            except (RedisError, OSError, StoreAway) as error:
                if loop.time() > deadline:
                    raise StoreError(f"the back-up is put back in part only, import it again: {error}") from error
                log.debug("not put back yet: %s", error)
                await asyncio.sleep(PAUSE)
                await self._topology.refresh()
        return self._changed

    async def _restore_some(self, left: dict[str, list[Saved]]) -> None:
        """Those of some scopes, on one server; takes them out of what is left."""
        tags = list(islice(left, SCOPES))
        node = self._topology.node(tags[0])
        tags = [tag for tag in tags if self._topology.node(tag) is node]
        link = node.link()
        try:
            fence = await self._open(node, link)
            calls = [self._call(left[tag], fence) for tag in tags]
            answers = await RESTORE.run(link, calls, PATIENCE + REPLICATION / 1000, *self._after)
        finally:
            await link.close()
        self._changed += sum(answer for answer in answers[: len(tags)] if isinstance(answer, int))
        for answer in answers:
            if isinstance(answer, ResponseError):
                raise StoreError(f"{answer}; delete it, and import again") if "CORRUPT" in str(answer) else answer
        if self._after and answers[-1] < self._replicas:
            raise StoreAway(f"fewer than {self._replicas} replicas of {node.name} have it")
        for tag in tags:
            del left[tag]

    async def _open(self, node: Node, link: Link) -> Fence:
        """Wait until gateways have told a store that lost its data what they remember: a back-up is older than that."""
        fence = Fence(self._prefix, node, self._process, **self._options)  # type: ignore[arg-type]
        while True:
            run = await link.open(PATIENCE)
            look = await fence.look(link, run, 0.0, PATIENCE)
            fence.learn(look, run)
            if look.now >= look.opens:
                return fence
            self._on_wait(look.opens - look.now)
            await asyncio.sleep(look.opens - look.now)

    def _call(self, counters: Sequence[Saved], fence: Fence) -> Command:
        names = [saved.name.key(self._prefix) for saved in counters]
        rows = [word for saved in counters for word in row(saved)]
        return (len(names), *names, fence.key, fence.here, int(self._replace), *rows)


def row(saved: Saved) -> Iterator[str | int]:
    """A counter's part of a call."""
    yield from (saved.epoch, saved.version, saved.spent, saved.topped)
    yield ",".join(map(str, saved.raised))
    yield dropped(saved.window)
