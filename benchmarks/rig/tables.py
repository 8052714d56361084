"""What is shown of the rounds: tables for the terminal and for docs/benchmarks.md."""

from __future__ import annotations

import platform
import re
import shutil
import statistics
import subprocess
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import gateway
from rig.contestants import HERE

PROGRAMS = {
    "nginx": "-v",
    "haproxy": "-v",
    "envoy": "--version",
    "traefik": "version",
    "redis-server": "--version",
    "wrk": "-v",
}


class Table(NamedTuple):
    """`name` marks its place in the page; `plot` is the same as an SVG, beside the page as images/NAME.svg."""

    name: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""
    plot: str = ""

    def markdown(self) -> str:
        lines = [f"| {' | '.join(row)} |" for row in (self.head, ["---"] * len(self.head), *self.rows)]
        return "\n".join(lines) + (f"\n\n{self.note}" if self.note else "")

    def text(self) -> str:
        widths = [max(len(row[n]) for row in (self.head, *self.rows)) for n in range(len(self.head))]
        return "\n".join(
            "  ".join(
                cell.ljust(w) if not n else cell.rjust(w) for n, (cell, w) in enumerate(zip(row, widths, strict=True))
            )
            for row in (self.head, *self.rows)
        )


def number(value: float | None, digits: int = 1) -> str:
    return "–" if value is None else f"{value:,.{digits}f}"


def medians(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {key: statistics.median(row[key] for row in rows) for key in rows[0]}


def put(page: Path, name: str, text: str) -> None:
    """Replaces what stands between the marks of that name."""
    begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->\n"
    before, found, rest = page.read_text().partition(begin)
    _, ended, after = rest.partition(end)
    if not found or not ended:
        raise SystemExit(f"{page} has no place marked {begin.strip()} … {end.strip()}")
    page.write_text(f"{before}{begin}{text}\n{end}{after}")


def machine() -> str:
    """The machine, and versions of everything that takes part."""
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    cores = len(_cores())
    found = ", ".join(f"{name} {version}" for name, version in versions().items())
    return f"{cores} cores ({model[1] if model else platform.machine()}); {found}."


def _cores() -> list[str]:
    return re.findall(r"^cpu\d+", Path("/proc/stat").read_text(), re.MULTILINE)


def versions() -> dict[str, str]:
    paths = {name: shutil.which(name) or str(HERE / name) for name in PROGRAMS}
    found = {name: _version(path, PROGRAMS[name]) for name, path in paths.items() if Path(path).exists()}
    return {
        "plangate": f"{gateway.__version__} ({gateway.build()})",
        "Python": f"{platform.python_version()} ({_build()})",
        **found,
        "Linux": platform.release(),
    }


def _build() -> str:
    """By the rule of scripts/_env."""
    told = sysconfig.get_config_var("CONFIG_ARGS") or ""
    optimised = sys.base_prefix == "/usr" or "--enable-optimizations" in told
    return "optimised build" if optimised else "build without optimisation"


def _version(program: str, flag: str) -> str:
    done = subprocess.run([program, flag], capture_output=True, text=True, check=False)
    number = re.search(r"\d+\.\d+(?:\.\d+)?", done.stdout + done.stderr)
    return number[0] if number else "?"
