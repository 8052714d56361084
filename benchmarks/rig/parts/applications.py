"""What a request costs where many applications take turns, each with its token and its counter."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from rig.contestants import BASE
from rig.options import Options, rounds, say
from rig.rounds import Row, Stage, loaded, serving
from rig.tables import Table, medians, number

COUNTS = (1, 16, 1000)
WHO = (("plangate", "shared"), (BASE, "shared"), ("nginx+lua, all", "shared"))
TURNS = """local tokens, n = %s, 0
request = function()
  n = n %% #tokens + 1
  wrk.headers["Authorization"] = "Bearer " .. tokens[n]
  return wrk.format()
end
"""


def measure(stage: Stage, options: Options) -> Iterator[Table]:
    cases = [(one, count) for one in options.those(*WHO) for count in COUNTS]
    results: dict[tuple[str, int], list[Row]] = {}
    scripts = {count: script_of(stage, count) for count in COUNTS}
    for one, count in rounds(options, cases):
        with serving(one, stage, applications=str(count)) as served:
            row = loaded(served, stage, options.secs, script=scripts[count])
        results.setdefault((one.name, count), []).append(row)
        say(f"{one.name:18}{count:5} applications{row['us']:8.1f} µs{row['rate']:10,.0f}/s")
    found = {which: medians(rows)["us"] for which, rows in results.items()}
    names = list(dict.fromkeys(name for name, _ in found))
    rows = [[name, *(number(found.get((name, count))) for count in COUNTS)] for name in names]
    yield Table("applications", ["CPU µs a request", *(f"{count:,} applications" for count in COUNTS)], rows)


def script_of(stage: Stage, count: int) -> Path:
    tokens = [stage.mint.token(number) for number in range(1, count + 1)]
    path = stage.folder / f"turns-{count}.lua"
    path.write_text(TURNS % ("{" + ",".join(map(json.dumps, tokens)) + "}"))
    return path
