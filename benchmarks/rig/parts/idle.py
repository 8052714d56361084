"""What ten thousand idle connections take, and two workers; memory at rest."""

from __future__ import annotations

import contextlib
import resource
import socket
import time
from collections.abc import Iterator
from pathlib import Path

from rig.contestants import BASE
from rig.options import Options, rounds, say
from rig.processes import cpu, memory, raise_files, tree
from rig.rounds import Row, Served, Stage, loaded, serving
from rig.tables import Table, medians, number

WHO = (
    ("plangate", "shared"),
    ("nginx", "mtls"),
    (BASE, "shared"),
    ("HAProxy", "jwt"),
    ("Envoy", "local"),
    ("Traefik", "mtls"),
)
COUNT = 10_000
CLIENTS = 8  # addresses that they come from
REST = 3.0  # seconds of doing nothing


def measure(stage: Stage, options: Options) -> Iterator[Table]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    count = min(COUNT, raise_files(4 * COUNT) // 2 - 500)  # plangate keeps one for an upstream with each
    results: dict[str, list[Row]] = {}
    for one in rounds(options, list(options.those(*WHO))):
        with serving(one, stage) as served:
            row = _idle(served, stage, count, options.secs)
        results.setdefault(f"{one.name} ({one.level})", []).append(row)
        say(f"{one.name:18}{row['rest']:6.0f} MB at rest, {row['held']:6.0f} MB with {count:,} idle")
    found = {name: medians(rows) for name, rows in results.items()}
    rows = [
        [name, number(r["rest"], 0), number(r["held"], 0), number(r["each"], 1), number(r["idle"], 2)]
        for name, r in found.items()
    ]
    head = [
        "",
        "MB at rest",
        f"MB with {count:,} idle connections",
        "KB each",
        "CPU % while idle",
    ]
    yield Table("idle", head, rows)
    resource.setrlimit(resource.RLIMIT_NOFILE, before)
    yield _workers(stage, options)


def _idle(served: Served, stage: Stage, count: int, seconds: int) -> Row:
    rest = proportional(served.process)
    with contextlib.ExitStack() as held:
        for number_ in range(count):
            address = f"127.0.1.{number_ % CLIENTS + 1}"  # one may have half of all
            held.enter_context(socket.create_connection((served.host, served.port), source_address=(address, 0)))
            if number_ % 500 == 0:
                time.sleep(0.02)  # within the backlog
        time.sleep(0.5)
        full, before = proportional(served.process), cpu(served.process)
        time.sleep(REST)
        idle = (cpu(served.process) - before) / REST * 100
        loaded(served, stage, seconds)  # others are still served
    return {"rest": rest, "held": full, "each": (full - rest) * 1e3 / count, "idle": idle}


def proportional(pid: int) -> float:
    """Megabytes of a process and its descendants; what they share is counted once (proc(5), Pss)."""
    try:
        return sum(_pss(process) for process in tree(pid)) / 1e3
    except PermissionError:
        return memory(pid)


def _pss(process: Path) -> float:
    lines = (process / "smaps_rollup").read_text().splitlines()
    return float(next(line.split()[1] for line in lines if line.startswith("Pss:"))) * 1.024


def _workers(stage: Stage, options: Options) -> Table:
    results: dict[str, list[Row]] = {}
    for one, workers in rounds(
        options, [(one, n) for one in options.those(("plangate", "shared")) for n in ("1", "2")]
    ):
        with serving(one, stage, None, workers=workers) as served:
            row = loaded(served, stage, options.secs)
            row["pss"] = proportional(served.process)
        results.setdefault(workers, []).append(row)
        say(f"{workers} workers{row['us']:8.1f} µs{row['rate']:10,.0f}/s")
    rows = [
        [
            workers,
            number(row["us"]),
            number(row["rate"], 0),
            number(row["p50"], 2),
            number(row["p99"], 2),
            number(row["pss"], 0),
        ]
        for workers, row in ((workers, medians(rows)) for workers, rows in results.items())
    ]
    return Table("workers", ["workers", "CPU µs a request", "requests/s", "p50 ms", "p99 ms", "MB"], rows)
