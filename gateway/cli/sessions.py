"""`gateway sessions`: who is signed in by a browser, and ending that."""

from __future__ import annotations

import getpass
from typing import Annotated, Any
from urllib.parse import quote

import typer

from gateway.cli.listener import Admin, ask
from gateway.cli.output import Format, Output, print_json, table, tell
from gateway.cli.plans import Folder

app = typer.Typer(help="Show who is signed in by a browser, and end sessions.", no_args_is_help=True)

SHORT = 12  # digits of an id that are shown


@app.callback()
def group() -> None:
    """Show who is signed in by a browser, and end sessions. They talk to the gateway that runs here; every gateway on
    its store knows within a second."""


@app.command(epilog="Example:  gateway sessions ls plans/")
def ls(
    folder: Folder,
    subject: Annotated[str | None, typer.Option(metavar="SUB", help="Of this user alone (`sub`).")] = None,
    admin: Admin = None,
    output: Output = Format.TEXT,
) -> None:
    """List sessions, the latest first."""
    path = "/sessions" + (f"?subject={quote(subject, safe='')}" if subject is not None else "")
    answer = _answer("ls", folder, admin, "GET", path)
    if output is Format.JSON:
        print_json(answer["sessions"])
    elif answer["sessions"]:
        _print(answer["sessions"])
    else:
        tell("nobody is signed in")
    if answer["more"]:
        tell(f"there are more; these are {len(answer['sessions'])}")


@app.command(epilog="Example:  gateway sessions end plans/ 3f0c1d2ab4ce   ·   --subject 4f1c…")
def end(
    folder: Folder,
    session: Annotated[str | None, typer.Argument(metavar="[ID]", help="A session's, as ls shows it.")] = None,
    subject: Annotated[str | None, typer.Option(metavar="SUB", help="All of this user (`sub`).")] = None,
    provider: Annotated[str | None, typer.Option(metavar="NAME", help="Of those, at this provider.")] = None,
    admin: Admin = None,
    output: Output = Format.TEXT,
) -> None:
    """End a session, or all of a user: who goes on must sign in again. Tokens are not revoked; see `gateway tokens`."""
    if (session is None) == (subject is None):
        raise typer.BadParameter("say which: an ID, or --subject")
    if provider is not None and subject is None:
        raise typer.BadParameter("--provider is for --subject")
    named = {"id": session, "subject": subject, "provider": provider, "by": getpass.getuser()}
    members = {name: value for name, value in named.items() if value is not None}
    ended = _answer("end", folder, admin, "POST", "/sessions/end", members)["ended"]
    if output is Format.JSON:
        print_json(ended)
    else:
        _print(ended)
        tell(f"ended: {len(ended)}")


def _answer(
    verb: str, folder: Any, admin: str | None, method: str, path: str, members: dict[str, Any] | None = None
) -> Any:
    status, answer = ask(f"sessions {verb}", folder, admin, method, path, members)
    if status != 200:
        tell(f"gateway sessions {verb}: {answer.get('detail', answer['title'])}")
        raise typer.Exit(1)
    return answer


def _print(rows: list[dict[str, Any]]) -> None:
    names = ("id", "provider", "subject", "began", "ends")
    print(table(names, [(row["id"][:SHORT], *(row[name] for name in names[1:])) for row in rows]))
