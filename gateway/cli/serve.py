"""From a folder of plans to a gateway that runs them, without what the command's other verbs need."""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path
from typing import NoReturn


def serve(folder: Path) -> NoReturn:
    """Becomes the gateway. Where the plans have problems, prints each on a line of stderr and exits 1."""
    gc.disable()  # this program ends before there is much
    from gateway.config import ConfigError, load
    from gateway.control import leave_config

    try:
        config = load(folder)
    except ConfigError as error:
        print(*map(str, error.problems), sep="\n", file=sys.stderr)
        sys.exit(1)
    # A program of its own, under the same process id: what read the files (YAML, models) would stay in memory for ever.
    program = [sys.executable, "-m", "gateway.begin", "gateway.supervisor"]
    os.execv(program[0], [*program, str(leave_config(config)), str(folder)])  # noqa: S606 - ourselves


def folder_in(arguments: list[str]) -> Path | None:
    """That of a plain `run DIR`, which waits for no library that reads options."""
    if len(arguments) == 2 and arguments[0] == "run" and Path(arguments[1]).is_dir():
        return Path(arguments[1])
    return None
