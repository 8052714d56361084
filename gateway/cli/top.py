"""`gateway top`: who uses most, as it happens."""

from __future__ import annotations

import shutil
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

from gateway.cli.listener import Admin, fetch
from gateway.cli.output import Format, Output, print_json, table, tell
from gateway.cli.plans import Folder
from gateway.cli.usage_changes import told

HOME = "\x1b[H\x1b[J"  # to the upper left, and what was there is gone
HEADS = ("application", "units/s", "used", "spent", "limit", "of", "resets at")
COUNTER = ("scope", "plan", "metric", "period", "per")


class Sample(NamedTuple):
    """What a gateway told at a time (seconds of any clock)."""

    at: float
    usage: list[dict[str, Any]]
    decisions: Counter[str]


class Line(NamedTuple):
    """A scope: the units that it uses a second of the limit where they are most, and its scarcest limit."""

    scope: str
    rate: float
    scarcest: dict[str, Any]


def top(
    folder: Folder,
    admin: Admin = None,
    every: Annotated[float, typer.Option(metavar="SECONDS", min=0.2, max=3600, help="Between looks.")] = 2.0,
    once: Annotated[bool, typer.Option("--once", help="Look twice, print all of it, and exit.")] = False,
    output: Output = Format.TEXT,
) -> None:
    """Show which applications use most, how near they are to their scarcest limit, and what is refused.

    What is spent is that of the store, so of all gateways; requests and refusals are those of the gateway that is
    asked. Each look walks over all counters of the store. Without a terminal it looks as with --once.
    """
    before = sample(folder, admin)
    try:
        while True:
            time.sleep(every)
            now = sample(folder, admin)
            lines, rates = ranked(before, now), rates_of(before, now)
            if once or output is Format.JSON or not sys.stdout.isatty():
                show(lines, rates, output)
                return
            height = shutil.get_terminal_size().lines - 4
            print(f"{HOME}{screen(lines[: max(1, height)], rates)}", flush=True)
            before = now
    except KeyboardInterrupt:
        raise typer.Exit from None


def show(lines: Sequence[Line], rates: dict[str, float], output: Format) -> None:
    if output is Format.JSON:
        shown = [{"application": line.scope, "rate": line.rate, "scarcest": line.scarcest} for line in lines]
        print_json({"applications": shown, "requests": rates})
    else:
        print(screen(lines, rates))


def sample(folder: Path, admin: str | None) -> Sample:
    """What it tells now; exits 1 where it tells nothing."""
    from prometheus_client.parser import text_string_to_metric_families

    usage = told("top", folder, admin, "GET", "/usage")
    status, exposition = fetch("top", folder, admin, "/metrics")
    if status != 200:
        tell(f"gateway top: its metrics cannot be had ({status})")
        raise typer.Exit(1)
    decisions: Counter[str] = Counter()
    for family in text_string_to_metric_families(exposition.decode()):
        if family.name == "gateway_decisions":
            decisions.update({s.labels["reason"]: int(s.value) for s in family.samples if s.name.endswith("_total")})
    return Sample(time.monotonic(), usage, decisions)


def ranked(before: Sample, now: Sample) -> list[Line]:
    """Those who use most first, then those who have least left."""
    spent = {_counter(row): row["spent"] for row in before.usage}
    seconds = now.at - before.at
    rates: dict[str, float] = {}
    scarcest: dict[str, dict[str, Any]] = {}
    for row in now.usage:
        scope = row["scope"]
        used = max(0, row["spent"] - spent.get(_counter(row), 0))
        rates[scope] = max(rates.get(scope, 0.0), used / seconds)
        if scope not in scarcest or _share(row) > _share(scarcest[scope]):
            scarcest[scope] = row
    lines = [Line(scope, rates[scope], row) for scope, row in scarcest.items()]
    return sorted(lines, key=lambda line: (-line.rate, -_share(line.scarcest)[1], line.scope))


def rates_of(before: Sample, now: Sample) -> dict[str, float]:
    """Requests a second, by what was decided."""
    seconds = now.at - before.at
    return {
        reason: max(0, count - before.decisions[reason]) / seconds for reason, count in sorted(now.decisions.items())
    }


def _counter(row: dict[str, Any]) -> tuple[Any, ...]:
    return *(row[name] for name in COUNTER), row["window"]["start"]


def _share(row: dict[str, Any]) -> tuple[bool, float]:
    """Of a limit; those that refuse are scarcer than those that only count."""
    return row["refuses"], row["spent"] / row["limit"] if row["limit"] else 1.0


def screen(lines: Sequence[Line], rates: dict[str, float]) -> str:
    """What is shown at once."""
    refused = ", ".join(
        f"{reason} {rate:.1f}/s" for reason, rate in rates.items() if reason not in ("ok", "degraded") and rate
    )
    head = f"requests {sum(rates.values()):.1f}/s   refused: {refused or 'none'}"
    return f"{head}\n\n{table(HEADS, [_cells(line) for line in lines], right={1, 2, 3, 4})}"


def _cells(line: Line) -> tuple[str, ...]:
    row = line.scarcest
    used = "" if row["percent"] is None else f"{row['percent']} %"
    what = f"{row['metric']}/{row['period']} ({row['plan']})"
    return (
        line.scope,
        f"{line.rate:.1f}",
        used,
        str(row["spent"]),
        str(row["limit"]),
        what,
        row["resets_at"] or "never",
    )
