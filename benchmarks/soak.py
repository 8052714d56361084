"""Hours of traffic of many kinds: whether memory, descriptors and tasks stay what they are: `scripts/benchmark soak`.

One worker serves phases in turn, each by wrk: one client, 64 that take turns, large answers, uploads, a connection for
each request, tokens that are refused. After each round of phases the gateway rests for a moment and is looked at. Exit
code 1 where the last quarter of the looks holds more than the second: 3 % of memory, or any descriptor or task; or
where a request failed that should not, or one passed that should have been refused.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from rig import processes
from rig.chart import lines
from rig.contestants import at
from rig.options import say
from rig.parts.applications import script_of
from rig.parts.bodies import UP
from rig.parts.idle import proportional
from rig.processes import tree, wrk
from rig.rounds import Served, Stage, patient, serving, stage

APPLICATIONS = 64
REST = 3.0  # seconds after which what was on its way is gone, and the gauges have been told
MEMORY = 1.03  # growth that is none: what processes share is divided among them, and neighbours come and go
SHOWN = "{:7.1f} min {:7.1f} MB {:5.0f} descriptors {:4.0f} tasks {:9} requests {:4} failed"


class Look(NamedTuple):
    minute: float
    megabytes: float
    descriptors: float
    tasks: float
    requests: int
    failed: int


def main() -> int:
    options = _options()
    if options.modest:
        processes.priority = 4
    with contextlib.ExitStack() as stack:
        behind = stack.enter_context(stage())
        values = {"applications": str(APPLICATIONS), "store": patient(behind)}
        served = stack.enter_context(serving(at("plangate", "shared"), behind, **values))
        looks = []
        for look in _rounds(behind, served, options.hours * 3600, options.secs):
            looks.append(look)
            say(SHOWN.format(*look))
            if options.plot:
                options.plot.write_text(_plot(looks))
    return int(not _flat(looks) or any(look.failed for look in looks))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=float, default=1.0, help="of traffic (1)")
    parser.add_argument("--secs", type=int, default=5, help="seconds of each phase (5)")
    parser.add_argument("--modest", action="store_true", help="let other work on the machine go before (as root)")
    parser.add_argument("--plot", type=Path, metavar="SVG", help="draw what was seen, after each look")
    return parser.parse_args()


def _rounds(behind: Stage, served: Served, seconds: float, each: int) -> Iterator[Look]:
    folder = behind.folder
    (folder / "up.lua").write_text(UP)
    (folder / "closing.lua").write_text('wrk.headers["Connection"] = "close"\n')
    turns, large = script_of(behind, APPLICATIONS), served.url.replace("/items?page=2", "/items/large")
    begun = time.monotonic()
    while not (over := time.monotonic() - begun) or over < seconds:
        good = [
            wrk(served.url, behind.token, each),
            wrk(served.url, behind.token, each, script=turns),
            wrk(large, behind.token, each, connections=8),
            wrk(served.url, behind.token, each, connections=8, script=folder / "up.lua"),
            wrk(served.url, behind.token, each, script=folder / "closing.lua"),
        ]
        bad = wrk(served.url, "refused", each)
        time.sleep(REST)
        requests = sum(load.requests for load in (*good, bad))
        failed = sum(load.failed for load in good) + bad.requests - min(bad.failed, bad.requests)
        yield _look((time.monotonic() - begun) / 60, served, requests, failed)


def _look(minute: float, served: Served, requests: int, failed: int) -> Look:
    descriptors = sum(len(list((process / "fd").iterdir())) for process in tree(served.process))
    told = urllib.request.urlopen(f"http://127.0.0.1:{served.admin}/metrics", timeout=10).read().decode()
    tasks = next(line.split()[1] for line in told.splitlines() if line.startswith("gateway_tasks "))
    return Look(minute, proportional(served.process), descriptors, float(tasks), requests, failed)


def _plot(looks: Sequence[Look]) -> str:
    minutes = [look.minute for look in looks]
    series = {
        "MB of supervisor and worker": [look.megabytes for look in looks],
        "descriptors": [look.descriptors for look in looks],
        "tasks": [look.tasks for look in looks],
    }
    return lines(minutes, series)


def _flat(looks: Sequence[Look]) -> bool:
    """The first quarter is for warming up."""
    quarter = max(1, len(looks) // 4)
    before, after = looks[quarter : 2 * quarter] or looks[:1], looks[-quarter:]

    def middle(some: Sequence[Look]) -> Look:
        return Look(*(statistics.median(values) for values in zip(*some, strict=True)))

    first, last = middle(before), middle(after)
    print(f"{'':16}{'MB':>8}{'descriptors':>13}{'tasks':>7}")
    for name, look in (("second quarter", first), ("last quarter", last)):
        print(f"{name:16}{look.megabytes:8.1f}{look.descriptors:13.0f}{look.tasks:7.0f}")
    return (
        last.megabytes <= first.megabytes * MEMORY
        and last.descriptors <= first.descriptors
        and last.tasks <= first.tasks
    )


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
