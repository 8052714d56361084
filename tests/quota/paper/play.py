"""Plays a schedule in a world, lets everything heal and come to rest, and uses up what is left."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import Random
from typing import Any

from gateway.model import Charge, Over, Verdict

from .gateway import Make, PaperGateway, Request
from .network import CALM, Weather
from .schedules import WEATHERS, Rule, Schedule
from .truth import SECONDS, Truth, is_for_good, key_of
from .world import World

SCOPE = "mobile"
OPENING = 6.0  # seconds until a new store's fence is open
REST = 12.0  # seconds in which all that was disturbed comes to rest: the fence, and the longest pause between attempts
PATIENT = 8  # how often who uses up the rest asks again
SOME = 20.0  # seconds that using it up may take
LASTS = (0.06, 0.06, 0.3, 2.0, 9.0)  # seconds of a request whose cost is known in the end


class Player:
    """One schedule's world, and what to do at each step."""

    def __init__(self, schedule: Schedule, make: Make, timeout: float) -> None:
        self.world = World(schedule.seed, make, replicas=schedule.replicas, start=schedule.start - OPENING)
        self.found: list[str] = []
        self._schedule = schedule
        self._timeout = timeout
        self._versions: dict[PaperGateway, dict[Rule, int]] = {}
        self._busy_until = 0.0  # when the last fault that ends by itself has ended
        self._storms = 0
        self._under_way: list[asyncio.Task[None]] = []
        self._chance = Random(schedule.seed)
        self._reserving: dict[Request, PaperGateway] = {}

    def play(self) -> list[str]:
        """What was violated."""
        with self.world as world:
            world.run(self._story())
            return [*Truth(world, timeout=self._timeout).violations(), *self.found]

    async def _story(self) -> None:
        for _ in range(self._schedule.gateways):
            await self._start()
        await asyncio.sleep(OPENING - self.world.loop.time())
        for name, *arguments in self._schedule.steps:
            await getattr(self, f"_{name}")(*arguments)
        await self._rest()
        await self._use_up()
        await asyncio.sleep(3)
        self.world.look()

    # --- steps ------------------------------------------------------------------------------------------

    async def _traffic(self, seconds: float, requests: int, seed: int, part: float = 1.0) -> None:
        self._under_way.append(asyncio.create_task(self._ask_over_time(seconds, requests, Random(seed))))
        await asyncio.sleep(seconds * part)

    async def _ask_over_time(self, seconds: float, requests: int, random: Random) -> None:
        for _ in range(requests):
            await asyncio.sleep(random.expovariate(requests / seconds))
            self._ask(random.randrange(8), random.choice((1, 1, 1, 1, 2, 5)), wide=random.random() < 0.7)

    async def _burst(self, gateway: int, cost: int, requests: int) -> None:
        for _ in range(requests):
            self._ask(gateway, cost, wide=True)

    async def _bursts(self, gateway: int, requests: int, times: int) -> None:
        for _ in range(times):
            await self._burst(gateway, 1, requests)
            await asyncio.sleep(0.06)

    async def _wait(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def _start(self) -> None:
        gateway = self.world.gateway()
        self._versions[gateway] = {}
        await asyncio.wait([gateway._starting], timeout=10)

    async def _kill(self, which: int) -> None:
        if (gateway := self._living(which)) is not None:
            self.world.note("kill", gateway.name)
            gateway.kill()

    async def _drain(self, which: int) -> None:
        if (gateway := self._living(which)) is not None:
            disturbed = self._busy_until > self.world.loop.time()  # then what it has in hand may not come back
            self.world.note("kill" if disturbed else "drain", gateway.name)
            for request in [request for request, its in self._reserving.items() if its is gateway]:
                self._end(request)
            await gateway.drain()

    async def _pause(self, which: int, seconds: float) -> None:
        if (gateway := self._living(which)) is not None:
            gateway.process.pause()
            self._for("pause", gateway.name, seconds, gateway.process.resume)

    async def _cut(self, which: int, seconds: float) -> None:
        gateway = self._living(which)
        server = self.world.nodes[0].server
        if gateway is None or self.world.network.is_cut(gateway.name, server.name):
            return
        self.world.network.cut(gateway.name, server.name)
        self._for("cut", gateway.name, seconds, lambda: self.world.network.mend(gateway.name, server.name))

    async def _stop(self, seconds: float) -> None:
        server = self.world.nodes[0].server
        if server.up and not server.stopped:
            server.stop()
            self._for("stop", "", seconds, lambda: server.go() if server.stopped else None)

    async def _crash(self, keep: float | None, seconds: float, silent: bool) -> None:
        server = self.world.nodes[0].server
        if server.up:
            self.world.look()
            server.crash(silent=silent)
            kept = None if keep is None else int(len(server.journal) * keep)
            self._for("crash", "", seconds, lambda: self.world.lose(server, kept))

    async def _flush(self) -> None:
        if self.world.nodes[0].server.up:
            self.world.look()
            self.world.flush(self.world.nodes[0].server)

    async def _unload(self) -> None:
        self.world.nodes[0].server.forget_scripts()

    async def _full(self, seconds: float) -> None:
        server = self.world.nodes[0].server
        server.full = True
        self._for("full", "", seconds, lambda: setattr(server, "full", False))

    async def _readonly(self, seconds: float) -> None:
        server = self.world.nodes[0].server
        server.readonly = True
        self._for("readonly", "", seconds, lambda: setattr(server, "readonly", False))

    async def _storm(self, weather: str, seconds: float) -> None:
        self.world.network.weather = Weather(**WEATHERS[weather])
        self._storms += 1
        self._for("storm", "", seconds, self._calm)

    def _calm(self) -> None:
        self._storms -= 1
        if not self._storms:
            self.world.network.weather = CALM

    async def _jump(self, seconds: float) -> None:
        self.world.note("jump", "", max(0.0, -seconds))  # set back, its time stands still for as long
        self._busy_until = max(self._busy_until, self.world.loop.time()) - min(0.0, seconds)
        self.world.skew(seconds, self.world.nodes[0].server)

    async def _set(self, which: int, seconds: float) -> None:
        """Somebody sets the clock of a gateway's machine, which none of its windows and leases goes by."""
        if (gateway := self._living(which)) is not None:
            gateway.process.ahead += seconds

    async def _edit(self, rule: int, value: int, gateways: int) -> None:
        rules = self._schedule.rules
        for place, gateway in enumerate(self._versions):
            if gateways >> place & 1:
                self._versions[gateway][rules[rule % len(rules)]] = value

    async def _failover(self, seconds: float) -> None:
        node = self.world.nodes[0]
        if node.server.up and node.server.replicas:
            self.world.look()
            node.server.crash()
            self._for("crash", "", seconds, lambda: self.world.fail_over(node))

    async def _unlink(self, seconds: float) -> None:
        primary = self.world.nodes[0].server
        for replica in primary.replicas:
            replica.linked = False
            self._for("unlink", "", seconds, lambda replica=replica: replica.relink(primary))

    # --- the end ----------------------------------------------------------------------------------------

    async def _rest(self) -> None:
        await asyncio.gather(*self._under_way)
        await asyncio.sleep(max(0.0, self._busy_until - self.world.loop.time()) + REST)
        if not any(gateway.serves for gateway in self.world.gateways):
            await self._start()
            await asyncio.sleep(REST)
        short = min(SECONDS[rule.period] for rule in self._schedule.rules)
        left = short - self.world.nodes[0].server.clock % short
        if left < SOME + 10:
            await asyncio.sleep(left + 0.5)

    async def _use_up(self) -> None:
        """One gateway gets all that is left of each limit."""
        gateway = self._living(self._schedule.seed)
        assert gateway is not None
        for rule in self._schedule.rules:
            if rule.over is Over.REJECT:
                value = max(self._versions[gateway].get(rule, rule.value), 1)
                await self._use_up_one(gateway, Charge(rule.limit(value), 1))

    async def _use_up_one(self, gateway: PaperGateway, charge: Charge) -> None:
        soft = 0
        while soft < PATIENT:
            request = self.world.ask(gateway, SCOPE, (charge,))
            assert request is not None
            await self._answered(request)
            outcome = request.outcome
            if outcome is None or outcome.verdict is Verdict.UNAVAILABLE:
                self.found.append(f"not answered at rest: {request}")
                return
            if outcome.verdict is Verdict.REFUSED:
                if is_for_good(request):
                    self._all_is_used(request, charge)
                    return
                soft += 1
                await asyncio.sleep(1.05)
        if not self._units_are_lost:
            self.found.append(f"others hold units at rest: {request}")

    @property
    def _units_are_lost(self) -> bool:
        """Whether something died with units in hand, or a call was unanswered when data was lost: these stay held."""
        return any(event.kind in {"kill", "loss", "restart", "failover"} for event in self.world.history.events)

    def _all_is_used(self, request: Request, charge: Charge) -> None:
        """Everything was let in."""
        if self._units_are_lost:
            return
        truth = Truth(self.world)
        window, _ = truth.windows(charge.limit, request)
        uses = truth.uses(key_of(SCOPE, charge.limit))
        admitted = sum(use.charged for use in uses if use.first <= window <= use.last)
        if admitted < charge.limit.value:
            self.found.append(f"only {admitted} of {charge.limit.value} could be used: {request}")

    async def _answered(self, request: Request) -> None:
        while request.outcome is None and self.world.loop.time() < request.asked + 2 * self._timeout:
            await asyncio.sleep(0.005)

    # --- tools ------------------------------------------------------------------------------------------

    def _ask(self, which: int, cost: int, *, wide: bool) -> None:
        """A request that charges all limits, or those of `hits` alone."""
        gateway = self._living(which)
        if gateway is None:
            return
        versions = self._versions[gateway]
        rules = [rule for rule in self._schedule.rules if wide or rule.metric == "hits"]
        reserved = self._chance.random() < self._schedule.reserving
        charges = tuple(Charge(rule.limit(versions.get(rule)), cost, reserved) for rule in rules)
        request = self.world.ask(gateway, SCOPE, charges)
        if request is not None and reserved:
            self._reserving[request] = gateway
            self._under_way.append(asyncio.create_task(self._end_later(request, self._chance.choice(LASTS))))

    async def _end_later(self, request: Request, seconds: float) -> None:
        await asyncio.sleep(seconds)
        while self._reserving[request].process.paused:
            await asyncio.sleep(0.1)
        self._end(request)

    def _end(self, request: Request) -> None:
        """It has used nothing, less than was reserved, as much, or more."""
        if request.outcome is not None and request.outcome.hold is not None:
            used = {metric: self._chance.randrange(2 * cost + 1) for (metric, cost) in costs(request).items()}
            self._reserving[request].end(request, used)

    def _living(self, which: int) -> PaperGateway | None:
        living = [gateway for gateway in self.world.gateways if gateway.serves]
        return living[which % len(living)] if living else None

    def _for(self, kind: str, who: str, seconds: float, end: Callable[[], Any]) -> None:
        """Something that begins now, and ends by itself."""
        self.world.note(kind, who, seconds)
        self._busy_until = max(self._busy_until, self.world.loop.time() + seconds)
        self.world.loop.outside(seconds, end)


def costs(request: Request) -> dict[str, int]:
    return {charge.limit.metric: charge.cost for charge in request.charges}


def play(schedule: Schedule, make: Make, *, timeout: float = 0.05) -> list[str]:
    """What a schedule violates."""
    return Player(schedule, make, timeout).play()
