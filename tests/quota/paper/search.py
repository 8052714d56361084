"""Plays many random schedules, and shortens those that violate something.

python -m tests.quota.paper.search --kind loss --kind mixed --seeds 0 1000 --shorten
"""

from __future__ import annotations

import argparse
import logging
import time
from collections import Counter

from .gateway import store_ledger
from .play import play
from .schedules import FAULTS, Schedule, schedule, shorten


def sorts(violations: list[str]) -> set[str]:
    """Violations without their figures."""
    return {" ".join(word for word in found.split(":")[0].split()[:4] if not word.isdigit()) for found in violations}


def played(found: Schedule) -> list[str]:
    try:
        return play(found, store_ledger())
    except Exception as error:
        return [f"{type(error).__name__}: {error}"]


def search(kind: str, first: int, last: int, *, shortened: bool) -> None:
    """Print what schedules of a kind violate, with the first of each sort."""
    began, counted, shown = time.perf_counter(), Counter[str](), set[str]()
    for seed in range(first, last):
        found = schedule(kind, seed)
        violations = played(found)
        for sort in sorts(violations):
            counted[sort] += 1
            if sort in shown:
                continue
            shown.add(sort)
            smallest = shorten(found, lambda each, sort=sort: sort in sorts(played(each))) if shortened else found
            example = next(each for each in played(smallest) if sort in sorts([each]))
            print(f"  {kind} {seed}: {example[:1000]}")
            if shortened:
                print(f"    {smallest!r}")
    seconds = (time.perf_counter() - began) / max(1, last - first)
    print(
        f"{kind}: {last - first} schedules, {seconds * 1000:.0f} ms each, {dict(counted) or 'nothing violated'}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kind", action="append", choices=[*FAULTS])
    parser.add_argument("--seeds", nargs=2, type=int, default=(0, 100))
    parser.add_argument("--shorten", action="store_true")
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    for kind in options.kind or FAULTS:
        search(kind, *options.seeds, shortened=options.shorten)


if __name__ == "__main__":
    main()
