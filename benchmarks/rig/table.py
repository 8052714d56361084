"""What is shown of the rounds."""

from __future__ import annotations

import platform
import re
import shutil
import statistics
import subprocess
from collections.abc import Mapping

import gateway
from rig.contestants import BASE, CONTESTANTS
from rig.rounds import Row


def show(results: Mapping[str, list[Row]]) -> None:
    """The table: medians of the rounds."""
    does = {contestant.name: contestant.does for contestant in CONTESTANTS}
    medians = {
        name: {key: statistics.median(row[key] for row in rows) for key in rows[0]} for name, rows in results.items()
    }
    base = medians.get(BASE, {}).get("us")
    print(f"\n{'':12}{'µs':>8}{'ratio':>8}{'req/s':>9}{'p50 ms':>8}{'p99 ms':>8}{'MB':>6}{'Redis µs':>10}{'failed':>8}")
    for name, row in medians.items():
        ratio = f"{row['us'] / base:.2f}" if base else "–"
        print(
            f"{name:12}{row['us']:8.1f}{ratio:>8}{row['rate']:9,.0f}{row['p50']:8.2f}{row['p99']:8.2f}{row['rss']:6.0f}"
            f"{row['redis_us']:10.1f}{row['failed']:8.0f}  {does[name]}"
        )
    print(f"\nµs: CPU time of all the contestant's processes for one request; ratio: to {BASE}.")
    print(" · ".join(f"{name} {version}" for name, version in versions().items()))


def versions() -> dict[str, str]:
    """Of everything that takes part."""
    flags = {"nginx": "-v", "haproxy": "-v", "redis-server": "--version", "wrk": "-v"}
    found = {name: _version(name, flag) for name, flag in flags.items() if shutil.which(name)}
    return {"plangate": gateway.__version__, "python": platform.python_version(), **found, "linux": platform.release()}


def _version(program: str, flag: str) -> str:
    done = subprocess.run([program, flag], capture_output=True, text=True, check=False)
    number = re.search(r"\d+\.\d+(?:\.\d+)?", done.stdout + done.stderr)
    return number[0] if number else "?"
