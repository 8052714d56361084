"""Reads the files for a supervisor, which has no reader of YAML in its memory. A program of its own.

python -m gateway.process.reader FOLDER DESCRIPTOR     (of a memory file, for the result)
"""

from __future__ import annotations

import sys
from pathlib import Path

from gateway.config import ConfigError, load
from gateway.control import leave


def main(folder: Path, fd: int) -> None:
    """Leaves a Config, or the problems as plain mappings, as the supervisor must not need this room's classes."""
    try:
        leave(fd, load(folder))
    except ConfigError as error:
        leave(fd, [{**problem._asdict(), "text": str(problem)} for problem in error.problems])


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
