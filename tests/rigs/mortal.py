"""A real process that leases, uses and returns units by a random plan, and is killed at one of its instructions."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from types import FrameType
from typing import Any

from redis import Redis

from gateway.model import Charge, Hold, Limit, Over, Period, Store, Verdict
from gateway.quota import calls, hand, holds, leases, page, scopes
from gateway.quota.calls import CONSUME, Answer, Call, Group
from gateway.quota.clock import StoreClock
from gateway.quota.counters import Claim
from gateway.quota.hand import spend, take
from gateway.quota.holds import Holds
from gateway.quota.leases import Leases
from gateway.quota.meters import Meter
from gateway.quota.page import Page
from gateway.quota.scopes import Scope, Waiter
from gateway.store import keys
from gateway.store.fence import Fence
from gateway.store.topology import topology

NOW = 4_102_747_200.0
LIFE = 60  # steps
FILES = {module.__file__ for module in (calls, hand, holds, leases, page, scopes)}


def limit(metric: str, value: int, **fields: Any) -> Limit:
    return Limit(plan="gold", metric=metric, period=Period.YEAR, value=value, **fields)


KEPT = {
    "hits": limit("hits", 150, bins=(50, 100)),
    "writes": limit("writes", 60),
    "soft": limit("soft", 20, over=Over.ALLOW),
}


@dataclass
class Diary:
    """What a process wrote down outside its page: units charged; those that it was about to charge or (below 0) to give
    back; those given up.
    """

    did: dict[str, int] = field(default_factory=dict)
    under_way: dict[str, int] = field(default_factory=dict)
    lost: dict[str, int] = field(default_factory=dict)

    def allows(self, name: str, spent: int) -> bool:
        """Whether so much may be charged after it all."""
        charged, may = self.did.get(name, 0), self.under_way.get(name, 0)
        return charged + min(0, may) <= spent <= charged + max(0, may)

    @classmethod
    def read(cls, path: Path) -> Diary:
        diary = cls()
        for line in path.read_text().splitlines():
            kind, units = json.loads(line)
            match kind:
                case "may":
                    diary.under_way = units
                case "did":
                    diary.under_way = {}
                    add(diary.did, units)
                case "lost":
                    add(diary.lost, units)
        return diary


def add(sums: dict[str, int], units: dict[str, int]) -> None:
    for name, more in units.items():
        sums[name] = sums.get(name, 0) + more


class Mortal:
    """One process, as a ledger runs it: one scope, a call at a time."""

    STEPS = (("use", 6), ("end", 4), ("ask", 3), ("refill", 2), ("give_back", 1), ("ask_again", 1), ("undo", 1))

    def __init__(self, url: str, name: str, seed: int, *, gives_up: bool = False) -> None:
        self.name = name
        self.outbox = keys.outbox(name)
        self.topology = topology(Store(kind="url", url=url))
        self.fence = Fence(name, self.topology.nodes[0], name, seconds=0, durable=False)
        self._url = url
        self._rng = Random(seed)
        self._gives_up = gives_up

    async def learn(self) -> None:
        """The store's epoch, which begins now."""
        link = self.topology.nodes[0].link()
        run = await link.open(5)
        self.fence.learn(await self.fence.look(link, run, 0, 5), run)
        await link.exchange([("SCRIPT", "LOAD", CONSUME.text)], 5)
        await link.close()

    def scope(self) -> Scope:
        return Scope(self.name, self.name, "mobile")

    def run(self, redis: Redis, command: tuple[Any, ...]) -> bytes:
        """One call of consume.lua."""
        return redis.execute_command("EVALSHA", CONSUME.digest, *command)

    def units(self, redis: Redis, name: str) -> tuple[int, int]:
        """Spent and held."""
        found = list(redis.scan_iter(f"{self.name}:{{mobile}}:gold::{name}:*"))
        spent, held, *_ = redis.get(found[0]).split() if found else (0, 0)
        return int(spent), int(held)

    def live_and_die(self, fd: int, instructions: int | None, diary: Path) -> Diary:
        """In a child with the page `fd`, killed after so many instructions of the ledger, if it does not end before."""
        diary.touch()
        child = os.fork()
        if not child:
            try:
                self._live(fd, instructions, diary)
            except BaseException:
                traceback.print_exc()
                sys.stderr.flush()
            finally:
                os._exit(1)
        _, status = os.waitpid(child, 0)
        assert os.WIFSIGNALED(status), "a step failed"
        assert os.WTERMSIG(status) == signal.SIGKILL
        return Diary.read(diary)

    # --- in the child

    def _live(self, fd: int, instructions: int | None, diary: Path) -> None:
        self._diary = os.open(diary, os.O_WRONLY | os.O_APPEND)
        self._redis = Redis.from_url(self._url, client_name=self.name)
        self._page = Page(fd)
        self._page.sign(self.name)
        self._leases = Leases(self._page)
        self._local = 0.0
        self._clock = StoreClock(lambda: self._local)
        self._clock.learn(NOW, 0.0, 0.0)
        self._scope = self.scope()
        self._claims = [self._scope.claim(charges) for charges in MIXES]
        self._holds = Holds(self._leases, lambda scope: None)
        self._under_way: list[tuple[Claim[Meter], Hold]] = []
        self._number = 0
        if instructions is not None:
            sys.settrace(killer(instructions))
        names, weights = zip(*self.STEPS, strict=True)
        for step in self._rng.choices(names, weights, k=LIFE):
            self._local += self._rng.choice((0.001, 0.03, 0.3))
            getattr(self, f"_{step}")()
            for counter in tuple(self._leases.counters):
                self._leases.look(counter, self._clock.local()) if self._rng.random() < 0.2 else None
        sys.settrace(None)
        die()

    def _write(self, kind: str, units: dict[str, int]) -> None:
        os.write(self._diary, json.dumps([kind, units]).encode() + b"\n")

    def _use(self) -> None:
        """Requests that are answered from what is in hand."""
        for _ in range(self._rng.randrange(1, 9)):
            claim = self._rng.choice(self._claims)
            self._write("may", costs(claim, 1))
            outcome = take(claim, self._clock, self._leases, self._holds, lambda scope: setattr(scope, "refill", True))
            granted = outcome is not None and outcome.verdict is Verdict.GRANTED
            self._write("did", costs(claim, 1) if granted else {})
            if outcome is not None and outcome.hold is not None:
                self._under_way.append((claim, outcome.hold))

    def _end(self) -> None:
        """Requests whose cost is known only now: nothing, less than was reserved, as much, or more."""
        self._rng.shuffle(self._under_way)
        for _ in range(self._rng.randrange(len(self._under_way) + 1)):
            claim, hold = self._under_way.pop()
            used = {meter.limit.metric: self._rng.randrange(2 * cost) for meter, cost in claim.kept}
            more = {meter.limit.metric: used[meter.limit.metric] - cost for meter, cost in claim.kept}
            self._write("may", more)
            hold.settle(used)
            self._write("did", more)

    def _ask(self, times: int = 1) -> None:
        """Requests that wait for the store; some of them not long enough."""
        call = self._packed()
        if self._gives_up and self._rng.random() < 0.3:
            self._give_up(call)
            return
        answer = self._answer(call, times)
        call.settle(answer)
        for group, granted in zip(call.groups, answer.granted, strict=True):
            lucky = self._rng.randrange(granted + 1)
            if lucky:
                self._write("may", costs(group.claim, lucky))
                spend(group.claim, group.counters, lucky, self._leases, NOW)
                self._write("did", costs(group.claim, lucky))

    def _ask_again(self) -> None:
        """Its answer was lost once."""
        self._ask(2)

    def _refill(self) -> None:
        self._scope.refill = True
        call = Call(self._next(), self._scope, [], self._leases, self._local, None)
        if call.counters:
            call.settle(self._answer(call, 1))

    def _give_back(self) -> None:
        for counter in self._scope.cells:
            counter.idle = True
        self._refill()

    def _undo(self) -> None:
        """A call that the store refused."""
        call = self._packed()
        call.begin(self.fence.epoch)
        call.undo()

    def _give_up(self, call: Call) -> None:
        """Nobody knows whether it was done. Any of its units may stay held, or be spent, for nobody."""
        call.begin(self.fence.epoch)
        if self._rng.random() < 0.5:
            self._answer(call, 1)
        units: dict[str, int] = {}
        for place, counter in enumerate(call.counters):
            used, apart, _, back, want = call.rows[1 + 11 * place + 4 : 1 + 11 * place + 9]
            add(units, {metric_of(counter): abs(used) + apart + back + want})
        for group in call.groups:
            add(units, {meter.limit.metric: cost * len(group.waiters) for meter, cost in group.claim.firm})
        self._write("lost", units)
        call.void()

    def _packed(self) -> Call:
        groups = []
        for claim in self._rng.sample(self._claims[:3], self._rng.randrange(1, 3)):
            counters = tuple(meter.at(NOW) for meter, _ in claim.firm)
            waiters = [Waiter(claim, lambda _: None, 0.0) for _ in range(self._rng.randrange(1, 6))]
            groups.append(Group(claim, counters, waiters))
        return Call(self._next(), self._scope, groups, self._leases, self._local, None)

    def _answer(self, call: Call, times: int) -> Answer:
        call.begin(self.fence.epoch)
        for _ in range(times):
            answer = self.run(self._redis, call.command(NOW, self.fence, self.outbox))
        return Answer.parse(answer)

    def _next(self) -> int:
        self._number += 1
        return self._number


MIXES = (
    (Charge(KEPT["hits"], 1),),
    (Charge(KEPT["hits"], 2), Charge(KEPT["writes"], 1)),
    (Charge(KEPT["hits"], 1), Charge(KEPT["soft"], 1)),
    (Charge(KEPT["soft"], 3),),
    (Charge(KEPT["hits"], 3, reserved=True), Charge(KEPT["writes"], 1)),
    (Charge(KEPT["soft"], 2, reserved=True), Charge(KEPT["writes"], 2, reserved=True)),
)


def costs(claim: Claim[Meter], requests: int) -> dict[str, int]:
    return {meter.limit.metric: cost * requests for meter, cost in claim.lines}


def metric_of(counter: scopes.Counter) -> str:
    return counter.entry.key.split(":")[4]


def killer(instructions: int) -> Any:
    """A trace function that ends the process after so many instructions of the ledger's own files."""
    left = instructions

    def trace(frame: FrameType, event: str, _: object) -> Any:
        nonlocal left
        if frame.f_code.co_filename not in FILES:
            return None
        frame.f_trace_opcodes = True
        left -= 1
        if not left:
            die()
        return trace

    return trace


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)


def final_words(redis: Redis, name: str) -> None:
    """Until the server has done what it was sent by a client that is gone."""
    while any(client["name"] == name for client in redis.client_list()):
        time.sleep(0.0005)
