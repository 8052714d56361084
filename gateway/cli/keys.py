"""`gateway keys`: API keys, of which the configuration holds digests only."""

from __future__ import annotations

import re
from typing import Annotated

import typer

from gateway.cli.output import Format, Output, print_json, tell

app = typer.Typer(help="Make API keys.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """Make API keys."""


def name(value: str | None) -> str | None:
    """An application's name; raises a usage error."""
    if value is not None and not re.fullmatch(r"[a-z][a-z0-9_-]*", value):
        raise typer.BadParameter(f"'{value}' is not a name ([a-z][a-z0-9_-]*)")
    return value


Application = Annotated[
    str | None, typer.Option("--application", "-a", metavar="NAME", callback=name, help="Whose key it is.")
]


@app.command(epilog="Example:  gateway keys create -a mobile > mobile.key")
def create(application: Application = None, output: Output = Format.TEXT) -> None:
    """Make a key. It goes to stdout, once; the plans get its digest, in the line shown on stderr."""
    from gateway.identity import api_keys

    new = api_keys.create()
    if output is Format.JSON:
        print_json({"application": application, "key": new.key, "digest": new.digest})
        return
    print(new.key, flush=True)
    tell(
        "This key is shown only now: give it to its owner. The line for the plans:",
        "",
        "applications:",
        f"  {application or 'NAME'}:",
        f'    api_keys: ["{new.digest}"]',
    )
