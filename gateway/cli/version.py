"""`gateway version` and `gateway --version`."""

from __future__ import annotations

import typer

from gateway import __version__
from gateway.cli.output import Format, Output, print_json


def version(output: Output = Format.TEXT) -> None:
    """Show the versions of the gateway and of the Python that runs it."""
    import platform

    python = platform.python_version()
    if output is Format.JSON:
        print_json({"gateway": __version__, "python": python})
    else:
        print(f"gateway {__version__} (Python {python})")


def show_and_exit(wanted: bool) -> None:
    if wanted:
        version()
        raise typer.Exit
