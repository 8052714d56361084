"""Schedules: what happens in a world, as plain data that can be written down, made at random, and shortened."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from random import Random
from typing import Any, NamedTuple

from gateway.model import Limit, Over, Period

Step = tuple[Any, ...]


class Rule(NamedTuple):
    """A limit of the world's one plan."""

    metric: str
    period: Period
    value: int
    over: Over = Over.REJECT
    bins: tuple[int, ...] = (50, 80, 100)

    def limit(self, value: int | None = None) -> Limit:
        return Limit(
            plan="gold",
            metric=self.metric,
            period=self.period,
            value=self.value if value is None else value,
            over=self.over,
            bins=self.bins,
        )


@dataclass(frozen=True)
class Schedule:
    """`seed` decides what the network does; `start` is the second of an hour at which it begins.

    Steps: ("traffic", seconds, requests, seed, part) · ("burst", gateway, cost, requests) ·
    ("bursts", gateway, requests, times) · ("wait", seconds) ·
    ("kill", gateway) · ("start",) · ("drain", gateway) · ("pause", gateway, seconds) · ("cut", gateway, seconds) ·
    ("stop", seconds) · ("crash", keep, seconds, silent) · ("flush",) · ("unload",) · ("full", seconds) ·
    ("readonly", seconds) · ("storm", weather, seconds) · ("jump", seconds) · ("set", gateway, seconds) ·
    ("edit", rule, value, gateways) · ("failover", seconds). A jump is of the store's clock, a set of a gateway's.
    The next step comes after `part` of the traffic. Gateways are counted among those that live; `keep` is the part of
    the writes that survive; `gateways` of an edit is a mask: the others keep the version of the plan that they have.
    `reserving` is the part of the requests whose cost is known when they have ended.
    """

    seed: int
    gateways: int
    rules: tuple[Rule, ...]
    start: float
    steps: tuple[Step, ...]
    replicas: int = 0
    reserving: float = 0.0


MINUTE, HOUR = Period.MINUTE, Period.HOUR

PLANS: tuple[tuple[Rule, ...], ...] = (
    (Rule("hits", HOUR, 30),),
    (Rule("hits", HOUR, 100),),
    (Rule("hits", HOUR, 700),),
    (Rule("hits", MINUTE, 40),),
    (Rule("hits", MINUTE, 300),),
    (Rule("hits", MINUTE, 60), Rule("hits", HOUR, 150)),
    (Rule("hits", HOUR, 400), Rule("writes", HOUR, 60)),
    (Rule("hits", MINUTE, 90), Rule("hits", HOUR, 500), Rule("writes", MINUTE, 20)),
    (Rule("hits", HOUR, 120), Rule("soft", HOUR, 50, Over.ALLOW, (80, 100, 150))),
)

WEATHERS = {
    "lost requests": {"lost_requests": 0.2},
    "lost answers": {"lost_answers": 0.2},
    "no answers": {"lost_answers": 1.0},
    "resets": {"resets": 0.2},
    "late": {"late": 0.2, "delay": 3.0},
    "slow": {"latency": (0.02, 0.2)},
    "all": {"lost_requests": 0.1, "lost_answers": 0.1, "resets": 0.1, "late": 0.1},
}

Make = Callable[[Random], Step]


def some(random: Random, *choices: Any) -> Any:
    return random.choice(choices)


def traffic(random: Random, *seconds: float) -> Step:
    part = some(random, 0.0, 0.1, 0.4, 1.0)
    return ("traffic", some(random, *seconds), random.randrange(5, 200), random.getrandbits(16), part)


USUAL: tuple[Make, ...] = (
    lambda random: traffic(random, 0.2, 1.0, 5.0, 20.0),
    lambda random: traffic(random, 0.05, 0.5, 3.0, 9.0),
    lambda random: ("burst", random.randrange(4), some(random, 1, 1, 2, 7), random.randrange(1, 60)),
    lambda random: ("bursts", random.randrange(4), random.randrange(3, 30), random.randrange(2, 9)),
    lambda random: ("wait", some(random, 0.02, 0.1, 0.3, 1.2, 4.0, 15.0, 40.0)),
)
FAULTS: dict[str, tuple[Make, ...]] = {
    "calm": (),
    "deaths": (
        lambda random: ("kill", random.randrange(4)),
        lambda random: ("drain", random.randrange(4)),
        lambda random: ("start",),
    ),
    "pauses": (lambda random: ("pause", random.randrange(4), some(random, 0.04, 0.5, 3.0, 30.0)),),
    "cuts": (lambda random: ("cut", random.randrange(4), some(random, 0.03, 0.5, 3.0, 12.0)),),
    "loss": (
        lambda random: ("crash", some(random, 0.0, 0.0, 0.5, 0.9), some(random, 0.1, 2.0, 7.0), random.random() < 0.3),
        lambda random: ("flush",),
    ),
    "slow": (
        lambda random: ("stop", some(random, 0.03, 0.3, 2.0, 6.0)),
        lambda random: ("crash", None, some(random, 0.1, 2.0), random.random() < 0.3),
        lambda random: ("unload",),
        lambda random: ("full", some(random, 0.3, 2.0)),
        lambda random: ("readonly", some(random, 0.3, 2.0)),
    ),
    "storms": (lambda random: ("storm", some(random, *WEATHERS), some(random, 0.5, 3.0, 10.0)),),
    "clocks": (
        lambda random: ("jump", some(random, -50.0, -2.0, 0.5, 20.0, 70.0, 1800.0)),
        lambda random: ("set", random.randrange(4), some(random, -1e9, -3600.0, -1.0, 5.0, 90.0, 1e9)),
    ),
    "edits": (lambda random: ("edit", random.randrange(3), random.randrange(5, 300), random.randrange(1, 16)),),
    "failovers": (
        lambda random: ("failover", some(random, 0.1, 1.0)),
        lambda random: ("unlink", some(random, 0.5, 5.0)),
    ),
}


def bursts(random: Random, gateway: int) -> Step:
    return ("bursts", gateway, random.randrange(5, 30), random.randrange(1, 8))


def gone(random: Random) -> Step:
    return some(random, ("flush",), ("crash", some(random, 0.0, 0.5, 0.9), some(random, 0.1, 2.0), False))  # type: ignore[no-any-return]


STORIES: dict[str, tuple[Callable[[Random], tuple[Step, ...]], ...]] = {  # what rarely comes together by chance
    "late": (
        lambda random: (
            *(bursts(random, 1), (some(random, "cut", "pause"), 1, some(random, 7.5, 9.0, 12.0))),
            *(("burst", 0, 1, random.randrange(1, 20)), gone(random), ("wait", some(random, 6.0, 7.0, 8.0))),
            *(("burst", 0, 1, 100), ("wait", some(random, 0.6, 1.6, 4.1)), ("burst", 1, 1, 60)),
        ),
    ),
    "stormy": (
        lambda random: (
            *(bursts(random, 1), bursts(random, 2), ("wait", some(random, 0.1, 0.3, 0.6))),
            *(("storm", "no answers", 1.0), ("wait", some(random, 0.3, 1.2)), ("pause", 2, some(random, 0.5, 8.5))),
            *(("burst", 0, 1, 60), gone(random), ("wait", 7.0), ("burst", 0, 1, 100), bursts(random, 2)),
        ),
    ),
    "taken": (lambda random: (("unlink", 5.0), bursts(random, 0), ("kill", 0), ("failover", some(random, 0.1, 1.0))),),
}
TOGETHER = {
    "late": ("loss", "cuts", "pauses"),  # who was cut off tells late what it remembers
    "stormy": ("loss", "storms", "slow", "pauses"),  # calls are unanswered when data is lost
    "taken": ("failovers", "deaths"),  # what the dead were granted is with the replica
    "mixed": ("deaths", "pauses", "cuts", "loss", "slow", "storms", "edits"),
}
FAULTS |= {name: tuple(make for kind in kinds for make in FAULTS[kind]) for name, kinds in TOGETHER.items()}


def schedule(kind: str, seed: int) -> Schedule:
    """A random one in which only faults of one kind happen."""
    random = Random(f"{kind} {seed}")
    makes = USUAL if not FAULTS[kind] else (*USUAL, *random.choices(FAULTS[kind], k=3))
    steps = tuple(random.choice(makes)(random) for _ in range(random.randrange(3, 16)))
    if kind in STORIES and random.random() < 0.5:
        place = random.randrange(min(4, len(steps)))
        steps = (*steps[:place], *random.choice(STORIES[kind])(random), *steps[place:])
    start = some(random, 0.0, 30.0, 55.0, 59.0, random.uniform(0, 3600), 3595.0)
    gateways, rules, replicas = random.randrange(1, 5), random.choice(PLANS), int(kind in {"failovers", "taken"})
    return Schedule(seed, gateways, rules, start, steps, replicas, some(random, 0.0, 0.3, 1.0))


def shorten(found: Schedule, fails: Callable[[Schedule], bool]) -> Schedule:
    """A smaller schedule that fails as well: without steps, gateways and requests that do not matter."""
    shorter = next((each for each in _shorter(found) if fails(each)), None)
    return found if shorter is None else shorten(shorter, fails)


def _shorter(found: Schedule) -> Iterator[Schedule]:
    steps, size = found.steps, len(found.steps) // 2
    while size:
        for place in range(0, len(steps) - size + 1, size):
            yield replace(found, steps=steps[:place] + steps[place + size :])
        size //= 2
    if found.gateways > 1:
        yield replace(found, gateways=found.gateways - 1)
    for place in range(len(found.rules)):
        if len(found.rules) > 1:
            yield replace(found, rules=found.rules[:place] + found.rules[place + 1 :])
    for place, step in enumerate(steps):
        if step[0] == "traffic" and step[2] > 1:
            smaller = (*step[:2], step[2] // 2, *step[3:])
            yield replace(found, steps=(*steps[:place], smaller, *steps[place + 1 :]))
        if step[0] == "burst" and step[3] > 1:
            smaller = (*step[:3], step[3] // 2)
            yield replace(found, steps=(*steps[:place], smaller, *steps[place + 1 :]))
