"""What the parts of a measurement share."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import NamedTuple, TypeVar

from rig.contestants import CONTESTANTS, Contestant, at

T = TypeVar("T")


class Options(NamedTuple):
    runs: int  # interleaved rounds
    secs: int  # of load for each in a round
    short: bool  # fewer cases, for development
    names: frozenset[str]  # of contestants; empty: all

    def those(self, *wanted: tuple[str, str]) -> Iterator[Contestant]:
        """Contestants, all or by name and level, that were asked for and are installed."""
        for one in [at(*which) for which in wanted] if wanted else CONTESTANTS:
            if self.names and one.name.partition(",")[0] not in self.names:
                continue
            missing = one.missing()
            if missing:
                say(f"{one.name} is skipped: {'; '.join(missing)}")
            else:
                yield one


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def rounds(options: Options, cases: Sequence[T]) -> Iterator[T]:
    """Every case once in each round."""
    for _ in range(options.runs):
        yield from cases
