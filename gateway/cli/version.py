"""`gateway version` and `gateway --version`."""

from __future__ import annotations

import typer

from gateway import __version__, build
from gateway.cli.output import Format, Output, print_json


def version(output: Output = Format.TEXT) -> None:
    """Show the versions of the gateway and of the Python that runs it, and whether its data path is compiled."""
    import platform

    python = platform.python_version()
    if output is Format.JSON:
        print_json({"gateway": __version__, "build": build(), "python": python})
    else:
        print(f"gateway {__version__} ({build()}, Python {python})")


def show_and_exit(wanted: bool) -> None:
    if wanted:
        version()
        raise typer.Exit
