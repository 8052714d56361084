"""A gateway's marks in a file of its own: the last known ones hold also where it starts while the store is away."""

from __future__ import annotations

import json
import logging
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

from gateway.store.marks import Row
from gateway.store.store_marks import Seen

NAME = "marks.json"

log = logging.getLogger(__name__)


def load(folder: Path) -> tuple[Seen, list[Row]] | None:
    """What was saved in the data folder; None where nothing was, or nothing that can be read."""
    path = folder / NAME
    try:
        saved = json.loads(path.read_text())
        return Seen(*map(int, saved["seen"])), [Row.parse(field, packed) for field, packed in saved["marks"].items()]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        log.warning("%s cannot be read, and is written anew: %s", path, error)
        return None


def save(folder: Path, seen: Seen, rows: Iterable[Row]) -> None:
    """Replace the file whole, readable by its owner alone. Raises OSError."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    saved = {"seen": seen, "marks": {row.field: f"{row.stamp} {row.text()}" for row in rows}}
    with tempfile.NamedTemporaryFile("w", dir=folder, prefix=f".{NAME}.", delete=False) as out:
        try:
            json.dump(saved, out)
            out.flush()
            os.fsync(out.fileno())
            Path(out.name).replace(folder / NAME)
        except BaseException:
            Path(out.name).unlink(missing_ok=True)
            raise
