"""The whole job beside each rival in turn: the ratios that are to be kept."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from rig.contestants import BASE, Contestant, at
from rig.options import Options, rounds, say
from rig.rounds import Stage, loaded, serving
from rig.tables import Table, number

JOB = ("plangate", "shared")
RIVALS = {  # and how much the whole job may cost, to theirs; None: there to be seen
    ("nginx+lua, all", "shared"): None,
    ("nginx+lua, current", "shared"): 0.6,
    (BASE, "shared"): None,
    ("nginx+lua, leased", "shared"): None,
    ("HAProxy", "jwt"): 0.7,
    ("Envoy", "local"): 0.6,
    ("nginx", "mtls"): 1.5,
}


def measure(stage: Stage, options: Options) -> Iterator[Table]:
    rivals = list(options.those(*RIVALS))
    pairs: list[list[tuple[float, float]]] = [[] for _ in rivals]
    for rival, found in rounds(options, list(zip(rivals, pairs, strict=True))):
        ours, theirs = (_cost(one, stage, options) for one in (at(*JOB), rival))
        found.append((ours, theirs))
        say(f"{rival.name:20}{rival.level:8}{ours:8.1f} µs to {theirs:6.1f}: {ours / theirs:.2f}")
    head = ["the whole job, to", "does", "budget", "ratio", "lowest to highest", "µs", "theirs"]
    yield Table("budget", head, [_row(*pair) for pair in zip(rivals, pairs, strict=True)])


def _cost(one: Contestant, stage: Stage, options: Options) -> float:
    with serving(one, stage) as served:
        return loaded(served, stage, options.secs)["us"]


def _row(rival: Contestant, found: list[tuple[float, float]]) -> list[str]:
    """The median of the neighbours' ratios, which is not that of the medians."""
    budget = RIVALS[rival.name, rival.level]
    ratios = [ours / theirs for ours, theirs in found]
    return [
        f"{rival.name}, {rival.level}",
        rival.does,
        "" if budget is None else number(budget, 1),
        number(median(ratios), 2),
        f"{min(ratios):.2f} to {max(ratios):.2f}",
        number(median(ours for ours, _ in found)),
        number(median(theirs for _, theirs in found)),
    ]
