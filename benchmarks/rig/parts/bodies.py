"""What large bodies cost, down and up, through mutual TLS."""

from __future__ import annotations

from collections.abc import Iterator

from rig.contestants import BASE
from rig.material import LARGE
from rig.options import Options, rounds, say
from rig.rounds import Row, Stage, loaded, serving
from rig.tables import Table, medians, number

WHO = (
    ("plangate", "shared"),
    ("nginx", "mtls"),
    (BASE, "shared"),
    ("HAProxy", "jwt"),
    ("Envoy", "jwt"),
    ("Traefik", "mtls"),
)
UP = f'wrk.method = "POST"\nwrk.body = string.rep("x", {LARGE})\n'
CONNECTIONS = 16


def measure(stage: Stage, options: Options) -> Iterator[Table]:
    scripts = {"down": None, "up": stage.folder / "up.lua"}
    (stage.folder / "up.lua").write_text(UP)
    cases = [(one, way) for one in options.those(*WHO) for way in scripts]
    results: dict[tuple[str, str], list[Row]] = {}
    for one, way in rounds(options, cases):
        with serving(one, stage) as served:
            url = served.url if way == "up" else served.url.replace("/items?page=2", "/items/large")
            row = loaded(served._replace(url=url), stage, options.secs, script=scripts[way], connections=CONNECTIONS)
        results.setdefault((f"{one.name} ({one.level})", way), []).append(row)
        say(f"{one.name:18}{way:6}{row['us'] / 1e3:8.2f} ms{row['rate']:8,.0f} MiB/s")
    found = {which: medians(rows) for which, rows in results.items()}
    names = list(dict.fromkeys(name for name, _ in found))
    rows = [
        [name, *(number(found[name, way][key] / unit, digits) for way in scripts for key, unit, digits in KEYS)]
        for name in names
    ]
    head = ["1 MiB, 16 connections", "down: CPU ms", "MiB/s", "up: CPU ms", "MiB/s"]
    yield Table("bodies", head, rows)


KEYS = (("us", 1e3, 2), ("rate", 1, 0))
