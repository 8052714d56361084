"""The `gateway` command, one file per group of verbs. Exit codes: 0, 1 invalid or failed, 2 usage."""

from __future__ import annotations

import gc
import os
import sys

from gateway.cli.serve import folder_in, serve


def main() -> None:
    """Run the command with the process's arguments, and exit with its code."""
    open_standard_streams()
    try:
        if folder := folder_in(sys.argv[1:]):
            serve(folder)
        _run()
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        print(f"gateway: {place}{error.strerror or error}", file=sys.stderr)
        sys.exit(1)


def _run() -> None:
    gc.disable()  # nothing that is imported is garbage: looking for some takes a third of the time
    from gateway.cli.command import command

    gc.freeze()
    gc.enable()
    command()(prog_name="gateway")


def open_standard_streams() -> None:
    """A closed standard stream's number would go to the next socket, and lines that are printed with it."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # takes the lowest free number
