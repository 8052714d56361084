"""Starts one of the gateway's programs: `python -m gateway.begin PROGRAM ARGUMENT…`, as `gateway.app`.

Nothing that is imported is garbage: looking for some takes a third of the time of a start. The programs look again
once they serve.
"""

from __future__ import annotations

import gc
import sys
from importlib import import_module


def main(program: str, *arguments: str) -> int:
    """The program's exit code."""
    gc.disable()
    code: int = import_module(program).main(*arguments)
    return code


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
