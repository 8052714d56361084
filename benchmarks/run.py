"""The field: what a request costs, waits and takes here, beside others that do a gateway's job.

Each gateway has one core; wrk with 64 keep-alive connections, the service behind it and Redis have another. Rounds are
interleaved, because machines vary by the minute: compare neighbours, quote ratios. What is not installed is skipped,
with what would install it. Parts:

  budget        CPU time of the whole job, to that of each rival beside it
  levels        CPU time, rate and times at five levels of work: plain, mutual TLS, JWT, local limit, shared limit
  applications  1, 16 and 1,000 of them taking turns
  bodies        1 MiB down and up
  latency       p50, p99 and p99.9 at fixed rates, beside the service's own
  idle          memory at rest and with 10,000 idle connections; 1 and 2 workers
  start         time to the first answer; requests beside a reload of 1,000 services

Other measurements are commands of their own, each with --help:
  scripts/benchmark crowd    good requests beside clients that misbehave
  scripts/benchmark soak     hours of traffic: memory, descriptors, tasks
  scripts/benchmark rolling  reloads and restarts under load: what failed
  scripts/benchmark ledger   what counting costs
  scripts/benchmark routing  what routing costs
  scripts/benchmark door     what both doors cost, without sockets
  scripts/benchmark way      what our code costs a request in all, without sockets and TLS
"""

from __future__ import annotations

import argparse
import importlib
import os
import shutil
import signal
import sys
import time
from pathlib import Path

from rig.options import Options, say
from rig.rounds import Stage, UnmeasuredError, stage
from rig.tables import machine, put

PARTS = ("budget", "levels", "applications", "bodies", "latency", "idle", "start")
NEEDED = {"wrk": "wrk", "nginx": "nginx", "redis-server": "redis-server", "taskset": "util-linux"}


def main() -> int:
    arguments = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if problem := _problem():
        print(problem, file=sys.stderr)
        return 2
    short = arguments.short
    options = Options(
        runs=arguments.runs or (1 if short else 3),
        secs=arguments.secs or (2 if short else 4),
        short=short,
        names=frozenset(filter(None, arguments.only.split(","))),
    )
    parts = arguments.parts or (("levels", "latency") if short else PARTS)
    with stage() as behind:
        unmeasured = [part for part in parts if not _measured(part, behind, options, arguments.write)]
    here = f"{time.strftime('%Y-%m-%d')}; medians of {options.runs} rounds of {options.secs} s; {machine()}"
    print(f"\n{here}")
    if arguments.write:
        put(arguments.write, "machine", here)
    return int(bool(unmeasured))


def _measured(part: str, behind: Stage, options: Options, page: Path | None) -> bool:
    """Shows and writes the tables of a part. One that cannot be had leaves its place in the page as it was."""
    try:
        for table in importlib.import_module(f"rig.parts.{part}").measure(behind, options):
            print(f"\n{table.text()}", flush=True)
            if page:
                put(page, table.name, table.markdown())
            if page and table.plot:
                (page.parent / "images" / f"{table.name}.svg").write_text(table.plot)
    except UnmeasuredError as problem:
        say(f"{part} is not measured: {problem}")
        return False
    return True


def _problem() -> str | None:
    """Why this machine cannot run it."""
    missing = [package for program, package in NEEDED.items() if shutil.which(program) is None]
    if missing:
        return f"needed besides: apt-get install {' '.join(missing)}"
    return "two cores are needed" if len(os.sched_getaffinity(0)) < 2 else None


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], metavar="PART", help="of those above; all")
    parser.add_argument("--short", action="store_true", help="one short round of levels and latency: under two minutes")
    parser.add_argument("--runs", type=int, help="rounds (3)")
    parser.add_argument("--secs", type=int, help="seconds of load for each in a round (4)")
    parser.add_argument("--only", default="", metavar="A,B", help="of plangate,nginx,nginx+lua,HAProxy,Envoy,Traefik")
    parser.add_argument(
        "--write", type=Path, metavar="PAGE", help="put tables and plots into their places in docs/benchmarks.md"
    )
    return parser.parse_args()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
