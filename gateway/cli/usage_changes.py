"""`gateway usage topup`, `reset`, `suspended` and `resume`: changes that the gateway on this machine makes."""

from __future__ import annotations

import getpass
import os
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.cli.listener import Admin, ask
from gateway.cli.output import Format, Output, print_json, table, tell
from gateway.cli.plans import Folder
from gateway.cli.usage import app

__all__ = ["app", "told"]

Whose = Annotated[str, typer.Argument(metavar="APPLICATION", help="Or one of its clients, as `show` names it.")]
LimitOption = Annotated[str | None, typer.Option(metavar="METRIC/PERIOD", help="Which limit, such as hits/month.")]
PlanOption = Annotated[str | None, typer.Option(metavar="PLAN", help="Of which plan.")]


@app.command(epilog="Example:  gateway usage topup plans/ mobile 500 --limit hits/month")
def topup(
    folder: Folder,
    application: Whose,
    units: Annotated[int, typer.Argument(metavar="UNITS", help="How many; below 0 (after --) they are taken back.")],
    limit: LimitOption = None,
    plan: PlanOption = None,
    admin: Admin = None,
    output: Output = Format.TEXT,
) -> None:
    """Let an application use more of a limit until its window ends: the gateway on this machine adds to the limit.

    It holds for all gateways of the store, within a second. --limit and --plan may be left out where only one is meant.
    No more is taken back than was added.
    """
    order = {"application": application, "limit": limit, "plan": plan, "units": units, "by": operator()}
    changed(told("usage topup", folder, admin, "POST", "/usage/topup", order), output)


@app.command(epilog="Example:  gateway usage reset plans/ mobile --limit hits/month")
def reset(
    folder: Folder,
    application: Whose,
    limit: LimitOption = None,
    plan: PlanOption = None,
    admin: Admin = None,
    output: Output = Format.TEXT,
) -> None:
    """Forget what an application has spent, of one or all of its limits, in the windows that are open.

    Units that gateways have in hand stay theirs, and alerts that were raised are not raised again in the window.
    """
    order = {"application": application, "limit": limit, "plan": plan, "by": operator()}
    changed(told("usage reset", folder, admin, "POST", "/usage/reset", order), output)


@app.command(epilog="Example:  gateway usage suspended plans/")
def suspended(folder: Folder, admin: Admin = None, output: Output = Format.TEXT) -> None:
    """List who is suspended: for going over a limit with `over: suspend`, or by hand."""
    rows = told("usage suspended", folder, admin, "GET", "/usage/suspended", key="suspended")
    if output is Format.JSON:
        print_json(rows)
    else:
        print(table(("application", "over", "since"), [(row["scope"], row["over"], row["since"]) for row in rows]))


@app.command(epilog="Example:  gateway usage suspend plans/ mobile")
def suspend(folder: Folder, application: Whose, admin: Admin = None, output: Output = Format.TEXT) -> None:
    """Serve an application, or one of its clients or users, no more, on all gateways within a second.

    It lasts until `gateway usage resume`, whatever the files say.
    """
    order = {"application": application, "by": operator()}
    rows = told("usage suspend", folder, admin, "POST", "/usage/suspend", order, key="suspended")
    if output is Format.JSON:
        print_json(rows)
    else:
        print(f"{application}: suspended since {rows[0]['since']}")


@app.command(epilog="Example:  gateway usage resume plans/ mobile --reset")
def resume(
    folder: Folder,
    application: Whose,
    reset: Annotated[
        bool, typer.Option("--reset", help="Forget what it spent of the limit that it went over.")
    ] = False,
    admin: Admin = None,
    output: Output = Format.TEXT,
) -> None:
    """Serve an application again that was suspended by hand or by a limit, on all gateways within a second.

    Where clients or users are counted apart all of them are resumed, or the one that is named. Until the window ends
    the next request goes over the limit again, unless --reset or a top-up has made room.
    """
    order = {"application": application, "reset": reset, "by": operator()}
    rows = told("usage resume", folder, admin, "POST", "/usage/resume", order, key="resumed")
    if output is Format.JSON:
        print_json(rows)
    for row in rows if output is Format.TEXT else ():
        print(f"{row['scope']}: resumed; suspended since {row['since']} {why(row['over'])}")


def why(over: str) -> str:
    """Why somebody is suspended, in words."""
    return over if " of " not in over else f"for going over {over}"


def told(
    verb: str,
    folder: Path,
    admin: str | None,
    method: str,
    path: str,
    order: dict[str, Any] | None = None,
    *,
    key: str = "usage",
) -> list[dict[str, Any]]:
    """What a page of `/usage` has; where it is a problem, says which and exits 1."""
    status, answer = ask(verb, folder, admin, method, path, order)
    if status != 200:
        tell(f"gateway {verb}: {answer.get('detail', answer.get('title', status))}")
        raise typer.Exit(1)
    rows: list[dict[str, Any]] = answer[key]
    return rows


def operator() -> str:
    """Who asks, for the gateway's log."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user without a name, as in a container
        return str(os.getuid())


def changed(rows: list[dict[str, Any]], output: Format) -> None:
    """What a change has made of each counter."""
    if output is Format.JSON:
        print_json(rows)
        return
    for row in rows:
        was, resets = row["before"]["spent"], row["resets_at"]
        spent = f"{row['spent']} spent (was {was})" if was != row["spent"] else f"{was} spent"
        until = f"until {resets}" if resets else "for ever"
        print(f"{row['scope']}: {spent} of {row['limit']} {row['metric']}/{row['period']} of {row['plan']}, {until}")
