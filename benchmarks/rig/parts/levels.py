"""What one request costs at each level of work: everybody."""

from __future__ import annotations

from collections.abc import Iterator

from rig.bars import bars
from rig.contestants import BASE, LEVELS
from rig.options import Options, rounds, say
from rig.rounds import Row, Stage, loaded, serving
from rig.tables import Table, medians, number

SHORT = ("jwt", "shared")  # levels of a short run, and whoever does not reach them at its highest


def measure(stage: Stage, options: Options) -> Iterator[Table]:
    contestants = [one for one in options.those() if not options.short or one.level in SHORT]
    results: dict[tuple[str, str], list[Row]] = {}
    for one in rounds(options, contestants):
        with serving(one, stage) as served:
            row = loaded(served, stage, options.secs)
        results.setdefault((one.name, one.level), []).append(row)
        say(f"{one.name:18}{one.level:8}{row['us']:8.1f} µs{row['rate']:10,.0f}/s")
    found = {which: medians(rows) for which, rows in results.items()}
    yield _costs(found)
    yield _details(found, {(one.name, one.level): one.does for one in contestants})


def _costs(found: dict[tuple[str, str], Row]) -> Table:
    names = list(dict.fromkeys(name for name, _ in found))
    base = found.get((BASE, "shared"), {}).get("us")

    def cell(name: str, level: str) -> str:
        row = found.get((name, level))
        return "" if row is None else number(row["us"])

    def ratio(name: str) -> str:
        row = found.get((name, "shared"))
        return number(row["us"] / base, 2) if row and base else ""

    rows = [[name, *(cell(name, level) for level in LEVELS), ratio(name)] for name in names]
    groups = {
        f"CPU µs a request, {level}": {name: found[name, level]["us"] for name in names if (name, level) in found}
        for level in LEVELS
    }
    plot = bars({heading: group for heading, group in groups.items() if group}, "plangate")
    return Table("levels", ["CPU µs a request", *LEVELS, f"shared, to {BASE}"], rows, plot=plot)


def _details(found: dict[tuple[str, str], Row], does: dict[tuple[str, str], str]) -> Table:
    head = ["", "level", "µs", "requests/s", "p50 ms", "p99 ms", "MB", "µs of Redis", "failed", "does"]
    rows = [
        [
            name,
            level,
            number(row["us"]),
            number(row["rate"], 0),
            number(row["p50"], 2),
            number(row["p99"], 2),
            number(row["rss"], 0),
            number(row["redis_us"]),
            number(row["failed"], 0),
            does[name, level],
        ]
        for (name, level), row in found.items()
    ]
    return Table("levels-detail", head, rows)
