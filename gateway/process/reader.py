"""Reads the files for a supervisor, which has no reader of YAML in its memory. A program of its own.

python -m gateway.begin gateway.process.reader FOLDER DESCRIPTOR     (of a memory file, for the result)
"""

from __future__ import annotations

import os
from pathlib import Path

from gateway.config import ConfigError, load
from gateway.control import leave


def main(folder: str, fd: str) -> int:
    """Leaves a Config, or the problems as plain mappings, as the supervisor must not need this room's classes."""
    os.nice(10)  # traffic goes before
    try:
        leave(int(fd), load(Path(folder)))
    except ConfigError as error:
        leave(int(fd), [{**problem._asdict(), "text": str(problem)} for problem in error.problems])
    return 0
