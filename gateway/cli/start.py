"""`gateway dev` and `gateway run`: the verbs that carry traffic."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.plans import Folder
from gateway.cli.serve import serve


def run(folder: Folder) -> None:
    """Serve the plans in DIR until SIGTERM; then finish the requests in flight and exit 0. SIGHUP reads DIR again.

    Where the plans have problems, each is shown on stderr and nothing is started.
    """
    serve(folder)


def dev(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", exists=True, file_okay=False, help="The folder of YAML files.")
    ] = Path("plans"),
    once: Annotated[bool, typer.Option("--once", help="Exit after the demonstration, instead of staying up.")] = False,
    listen: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="Where the gateway listens (127.0.0.1:8080).")
    ] = None,
) -> None:
    """Try the gateway on this machine: store, identity provider, mutual-TLS services and clients all included."""
    from gateway.devkit.dev import run_dev

    raise typer.Exit(run_dev(folder, once=once, listen=listen))
