"""`gateway validate` and `gateway schema`: the configuration, read and described."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.output import Format, Output, count, print_json, tell

if TYPE_CHECKING:
    from gateway.model import Config

Folder = Annotated[
    Path, typer.Argument(metavar="DIR", exists=True, file_okay=False, help="The folder of YAML files, as plans/.")
]


def read(folder: Path) -> Config:
    """The configuration in `folder`; where it has problems, prints each on a line of stderr and exits 1."""
    from gateway.config import ConfigError, load

    try:
        return load(folder)
    except ConfigError as error:
        tell(*map(str, error.problems))
        raise typer.Exit(1) from None


def validate(folder: Folder, output: Output = Format.TEXT) -> None:
    """Read the plans in DIR and show every problem with its place and what would be right; exits 1 if there is one."""
    from gateway.config import ConfigError, load

    try:
        config = load(folder)
    except ConfigError as error:
        if output is Format.JSON:
            print_json({"valid": False, "problems": [problem._asdict() for problem in error.problems]})
        else:
            tell(*map(str, error.problems), f"{folder}: {count(len(error.problems), 'problem')}")
        raise typer.Exit(1) from None
    if output is Format.JSON:
        print_json({"valid": True, **{noun: list(names) for noun, names in nouns(config).items()}})
    else:
        print(f"{folder}: valid ({', '.join(count(len(names), noun[:-1]) for noun, names in nouns(config).items())})")


def nouns(config: Config) -> dict[str, list[str]]:
    """The names that a configuration declares, by kind."""
    return {
        "services": list(config.services),
        "plans": list(config.plans),
        "applications": list(config.applications),
    }


def schema() -> None:
    """Print the JSON Schema of the YAML files, for editors that complete and check."""
    from gateway.config import schema as describe

    print_json(describe())
