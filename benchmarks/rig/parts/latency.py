"""What a request waits at fixed rates, beside the service asked without a gateway."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from rig import openloop
from rig.bars import bars
from rig.contestants import BASE
from rig.options import Options, rounds, say
from rig.processes import REST_CORE, cpu, start
from rig.rounds import Row, Stage, UnmeasuredError, serving
from rig.tables import Table, medians, number

WHO = (
    ("plangate", "shared"),
    ("nginx", "mtls"),
    (BASE, "shared"),
    ("nginx+lua, all", "shared"),
    ("HAProxy", "local"),
    ("Envoy", "local"),
    ("Traefik", "local"),
)
RATES = (500, 2000, 6000)


def measure(stage: Stage, options: Options) -> Iterator[Table]:
    rates = RATES[1:2] if options.short else RATES
    results: dict[tuple[str, int], list[Row]] = {}
    for one in rounds(options, [None, *options.those(*WHO)]):
        for rate in rates:
            name = "the service alone, plain" if one is None else f"{one.name} ({one.level})"
            if one is None:
                row = _seen(int(stage.values["plain_port"]), rate, options.secs, stage.token)
            else:
                with serving(one, stage) as served:
                    before = cpu(served.process)
                    row = _seen(served.port, rate, options.secs, stage.token)
                    row["us"] = (cpu(served.process) - before) / (rate * (openloop.WARM + options.secs)) * 1e6
            results.setdefault((name, rate), []).append(row)
            say(f"{name:26}{rate:6}/s  p50 {row['p50']:.2f}  p99 {row['p99']:.2f}  p99.9 {row['p999']:.2f} ms")
    found = {which: medians(rows) for which, rows in results.items()}
    names = list(dict.fromkeys(name for name, _ in found))
    head = ["ms: p50 / p99 / p99.9", *(f"{rate:,}/s" for rate in rates), *(f"CPU µs at {rate:,}/s" for rate in rates)]
    rows = [
        [
            name,
            *(_times(found.get((name, rate))) for rate in rates),
            *(_cost(found.get((name, rate))) for rate in rates),
        ]
        for name in names
    ]
    groups = {
        f"p99 at {rate:,} requests a second, ms": {
            name: found[name, rate]["p99"] for name in names if (name, rate) in found
        }
        for rate in rates
    }
    yield Table("latency", head, rows, plot=bars(groups, "plangate", 2))


def _times(row: Row | None) -> str:
    return "" if row is None else f"{row['p50']:.2f} / {row['p99']:.2f} / {row['p999']:.2f}"


def _cost(row: Row | None) -> str:
    return "" if row is None or "us" not in row else number(row["us"])


def _seen(port: int, rate: int, seconds: int, token: str) -> Row:
    command = [sys.executable, str(Path(openloop.__file__)), "127.0.0.1", str(port), str(rate), str(seconds), token]
    child = start(REST_CORE, command, subprocess.PIPE)
    report, _ = child.communicate(timeout=seconds * 10 + 60)
    if child.returncode:
        raise UnmeasuredError(report.decode())
    row: Row = json.loads(report)
    return row
