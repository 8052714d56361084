"""What one request costs here and at the peers.

The job: mutual TLS to the upstream, an RS256 token, mapping rules, an exact limit counted in a shared Redis. A gateway
has one core; wrk with 64 keep-alive connections, the upstream and Redis have another. Rounds are interleaved, because
machines vary by the minute: compare neighbours, quote ratios. What a peer does is said in its line; what is not
installed is skipped with its package's name.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

from rig.contestants import CONTESTANTS, Contestant
from rig.rounds import measure
from rig.table import show, versions

NEEDED = {"wrk": "wrk", "nginx": "nginx", "redis-server": "redis-server", "taskset": "util-linux"}


def main() -> int:
    arguments = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if problem := _problem():
        print(problem, file=sys.stderr)
        return 2
    contestants = list(_selected(arguments.only))
    if not contestants:
        print("nobody is left to measure", file=sys.stderr)
        return 2
    results = measure(contestants, arguments.runs, arguments.secs)
    show(results)
    if arguments.json:
        Path(arguments.json).write_text(json.dumps({"versions": versions(), "rounds": results}, indent=1) + "\n")
    return int(any(row["failed"] for rows in results.values() for row in rows))


def _problem() -> str | None:
    """Why this machine cannot run it."""
    missing = [package for program, package in NEEDED.items() if shutil.which(program) is None]
    if missing:
        return f"needed besides: apt-get install {' '.join(missing)}"
    return "two cores are needed" if len(os.sched_getaffinity(0)) < 2 else None


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3, help="rounds (3)")
    parser.add_argument("--secs", type=int, default=4, help="seconds of load for each in a round (4)")
    parser.add_argument("--only", default="", metavar="A,B", help=f"of {','.join(c.name for c in CONTESTANTS)}")
    parser.add_argument("--json", metavar="FILE", help="write every round's figures here")
    return parser.parse_args()


def _selected(only: str) -> Iterator[Contestant]:
    for contestant in CONTESTANTS:
        if only and contestant.name not in only.split(","):
            continue
        if missing := contestant.missing():
            print(f"{contestant.name} is skipped: apt-get install {' '.join(missing)}", file=sys.stderr)
        else:
            yield contestant


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
