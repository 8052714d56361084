"""One call about the pools of a scope: what is kept, returned and asked for. See pools.lua."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from gateway.quota.groups import Group, Keeper, KeptCall
from gateway.quota.leases import Leases
from gateway.quota.meters import MICRO, Counter
from gateway.quota.page import Entry
from gateway.quota.pools.meters import LIFE, Pool, Row
from gateway.quota.pools.scopes import PoolScope
from gateway.store.fence import Fence
from gateway.store.script import Command, Script

POOLS = Script("gateway.quota.pools", "pools.lua")


class Granted(NamedTuple):
    """A pool as the store has it: what is left beside, what the call was granted, and until when it is held (Unix
    seconds)."""

    left: float
    units: int
    ends: float
    wanted: bool

    @classmethod
    def parse(cls, row: str) -> Granted:
        left, units, ends, wanted = row.split(",")
        return cls(int(left) / 1000, int(units), int(ends) / MICRO, wanted == "1")


class PoolAnswer(NamedTuple):
    """The store's time in Unix seconds, and each row's state."""

    now: float
    rows: list[Granted]

    @classmethod
    def parse(cls, answer: bytes) -> PoolAnswer:
        now, _, rows = answer.decode().partition(";")
        return cls(int(now) / MICRO, [Granted.parse(row) for row in rows.split("|") if row])


def pools_command(
    pools: Iterable[str], rows: Iterable[Row], *, number: int, seen: float, process: str, fence: Fence
) -> Command:
    """The script's keys and arguments, the number of keys first."""
    names = tuple(pools)
    header = (number, int(seen * MICRO), process, fence.key, fence.here, fence.processes, int(LIFE * MICRO))
    return (len(names), *names, *header, *(word for row in rows for word in row))


class PoolCall(KeptCall):
    """See Errand. What it tells is what is held in all, so that it matters little if its answer is lost."""

    __slots__ = ("_leases", "_rows", "counters")
    script = POOLS

    def __init__(
        self,
        number: int,
        scope: PoolScope,
        groups: list[Group],
        leases: Leases,
        sent: float,
        late: float,
        keeper: Keeper,
    ) -> None:
        """`late`: the store's time or later. Raises PageFullError."""
        super().__init__(number, scope, groups, sent, keeper)
        self._leases = leases
        waiting: dict[Counter, int] = {}
        for claim, counters, waiters, _ in groups:
            for counter, (_, cost) in zip(counters, claim.firm, strict=True):
                leases.adopt(counter)
                waiting[counter] = waiting.get(counter, 0) + cost * len(waiters)
        self.counters = [pool for pool in scope.cells if isinstance(pool, Pool)]
        asks = bool(waiting or scope.refill)
        scope.refill = False
        self._rows = [self._row(pool, waiting.get(pool, 0), late, asks=asks) for pool in self.counters]

    def _row(self, pool: Pool, need: int, late: float, *, asks: bool) -> Row:
        ahead = 0
        if asks:
            in_use = pool.used(self._leases.page) + need
            ahead = in_use if pool.permits else max(0, self._leases.want(pool, need, self.sent))
        return pool.row(self._leases.page, need, ahead, late)

    def begin(self, epoch: int) -> None:
        """See Errand."""
        self.epoch = self.epoch or epoch

    def command(self, seen: float, fence: Fence, outbox: str) -> Command:
        """See Errand."""
        names = [pool.entry.key for pool in self.counters]
        return pools_command(
            names, self._rows, number=self.number, seen=seen, process=self._leases.process, fence=fence
        )

    def parse(self, answer: bytes) -> PoolAnswer:
        """See Errand."""
        return PoolAnswer.parse(answer)

    def settle(self, answer: PoolAnswer) -> None:
        """Take in hand what was granted."""
        for pool, row, granted in zip(self.counters, self._rows, answer.rows, strict=True):
            pool.least = min(pool.least, pool.hand) + granted.units
            pool.hand += granted.units
            pool.told += granted.units
            pool.left = granted.left + pool.most - row[0]  # the limit may be another by now
            pool.end, pool.wanted = granted.ends, granted.wanted
            pool.asked = self.sent
            pool.trim()
            self._leases.topped_up(pool, max(0, granted.units - row[4]), self.sent)

    def undo(self) -> None:
        """The store has not heard of it."""
        self.epoch = 0
        for pool, row in zip(self.counters, self._rows, strict=True):
            pool.hand += row[3]
            pool.stale = True

    def void(self) -> int:
        """Nobody will know whether it was done: the store is told anew; gives the units that are lost for good."""
        for pool in self.counters:
            pool.stale = True
        return 0


def declarations(pools: Sequence[Pool], leases: Leases, number: int, seen: float, late: float, fence: Fence) -> Command:
    """What is held of some pools of one scope, for a store that may have forgotten."""
    rows = [pool.row(leases.page, 0, 0, late) for pool in pools]
    names = [pool.entry.key for pool in pools]
    return pools_command(names, rows, number=number, seen=seen, process=leases.process, fence=fence)


def left_behind(pools: Sequence[Entry], process: str, number: int, fence: Fence) -> Command:
    """Of a process that is no more: it holds nothing."""
    names = [entry.key for entry in pools]
    rows: list[Row] = [(int(entry.row[1]), str(entry.row[2]), 0, 0, 0, 0) for entry in pools]
    return pools_command(names, rows, number=number, seen=0.0, process=process, fence=fence)
