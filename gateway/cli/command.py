"""The command itself: its verbs, `--version`, and what an error looks like."""

from __future__ import annotations

from typing import Annotated

import typer

from gateway.cli import (
    alerts,
    clients,
    diff,
    doctor,
    explain,
    keys,
    plans,
    reload,
    sessions,
    start,
    tokens,
    top,
    usage_cost,
    version,
)


def options(
    _version: Annotated[
        bool,
        typer.Option("--version", callback=version.show_and_exit, is_eager=True, help="Show the version and exit."),
    ] = False,
) -> None:
    """An API gateway: identities checked, plans counted exactly, traffic forwarded over mutual TLS."""


def command() -> typer.Typer:
    """The command with all its verbs."""
    app = typer.Typer(
        epilog="Start here:  gateway dev   ·   then:  gateway run plans/",
        context_settings={"help_option_names": ["-h", "--help"]},
        no_args_is_help=True,
        pretty_exceptions_enable=False,
    )
    app.callback()(options)
    app.command(epilog="Example:  gateway dev --once")(start.dev)
    app.command(epilog="Example:  gateway run plans/")(start.run)
    app.command(epilog="Example:  gateway reload plans/")(reload.reload)
    app.command(epilog="Example:  gateway validate plans/ -o json")(plans.validate)
    app.command(epilog="Example:  gateway schema > plans.schema.json")(plans.schema)
    app.command(cls=diff.Diff, epilog="Example:  gateway diff plans/ next/ --usage")(diff.diff)
    app.command(epilog="Example:  gateway explain plans/ - -r 'GET /orders' < token")(explain.explain)
    app.command(epilog="Example:  gateway doctor plans/ --targets")(doctor.doctor)
    app.add_typer(usage_cost.app, name="usage")
    app.command(epilog="Example:  gateway top plans/ --once")(top.top)
    app.add_typer(alerts.app, name="alerts")
    app.add_typer(keys.app, name="keys")
    app.add_typer(clients.app, name="clients")
    app.add_typer(tokens.app, name="tokens")
    app.add_typer(sessions.app, name="sessions")
    app.command(epilog="Example:  gateway version -o json")(version.version)
    return app
