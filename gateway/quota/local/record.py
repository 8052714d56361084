"""Since when a gateway's own account of its local shares has no gap.

A share of a window can be spent only if the account was kept, for the same share, since before the window began. The
account is the workers' files of cells; it has a gap when one of them was lost, when the machine has started anew (what
was written last may be lost), when the gateway has another number of workers (each has its part), and for a
limit that had another value or share in between (the store may have handed out what is kept back now).
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from gateway.model import Limit
from gateway.quota.counters import Rule
from gateway.quota.local.cells import require_unused, stamp, stamp_of

BOOT = Path("/proc/sys/kernel/random/boot_id")


class Share(NamedTuple):
    """What a limit leaves to the store and to each gateway, and since when (Unix seconds, the store's)."""

    leased: int
    local: int
    since: float


class Record(NamedTuple):
    """What `record.json` holds. `stamp` is in the files that belong to it."""

    stamp: int
    boot: str
    workers: int
    shares: Mapping[Rule, Share]


def boot_id() -> str:
    """Another one each time the machine starts; raises OSError where the system does not tell."""
    return BOOT.read_text().strip()


def cells_of(folder: Path, worker: int) -> Path:
    return folder / f"{worker}.cells"


def keep(
    folder: Path, limits: Iterable[Limit], *, worker: int, workers: int, boot: str, now: float
) -> Mapping[Rule, Share]:
    """Go on with the folder's record, or begin one at `now`; gives the shares of `limits`.

    Raises OSError; BusyError where one must begin and processes still go by another, as while a gateway takes over.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _alone(folder):
        old = _read(folder / "record.json")
        record = old if old is not None and _holds(old, folder, worker, workers, boot) else None
        known = record.shares if record else {}
        shares = {Rule.of(limit): _share(limit, known.get(Rule.of(limit)), now) for limit in limits}
        number = record.stamp if record else _begin(folder, workers)
        new = Record(number, boot, workers, shares)
        if new != old:
            _write(folder / "record.json", new)
    return shares


def _begin(folder: Path, workers: int) -> int:
    """Make the workers' files belong to a new record."""
    for path in folder.glob("*.cells"):
        require_unused(path)
    number = secrets.randbits(63) + 1
    for worker in range(workers):
        stamp(cells_of(folder, worker), number)
    return number


def _holds(record: Record, folder: Path, worker: int, workers: int, boot: str) -> bool:
    same = (record.boot, record.workers) == (boot, workers)
    return same and stamp_of(cells_of(folder, worker)) == record.stamp


def _share(limit: Limit, known: Share | None, now: float) -> Share:
    if known is not None and (known.leased, known.local) == (limit.leased, limit.local):
        return known
    return Share(limit.leased, limit.local, now)


def _read(path: Path) -> Record | None:
    """None where there is none that can be used."""
    try:
        number, boot, workers, shares = json.loads(path.read_bytes())
        return Record(number, boot, workers, {Rule(*rule): Share(*share) for rule, share in shares})
    except (OSError, ValueError, TypeError):
        return None


def _write(path: Path, record: Record) -> None:
    new = path.with_suffix(".new")
    with new.open("w") as file:
        json.dump((record.stamp, record.boot, record.workers, [*record.shares.items()]), file)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Without the gateway's other workers, which start at the same time."""
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
