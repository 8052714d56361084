"""`gateway tokens`: revoking tokens before their time, and taking it back."""

from __future__ import annotations

import getpass
import sys
from typing import Annotated, Any
from urllib.parse import quote

import typer

from gateway.cli.alerts import seconds
from gateway.cli.listener import Admin, ask
from gateway.cli.output import Format, Output, print_json, table, tell
from gateway.cli.plans import Folder

app = typer.Typer(help="Revoke tokens, sessions, and all that a user, client or realm was given.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """Revoke tokens, sessions, and all that a user, client or realm was given. They talk to the gateway that runs here;
    every gateway on its store knows within a second."""


@app.command(epilog="Example:  gateway tokens revoke plans/ --user 4f1c… --reason 'lost phone'")
def revoke(
    folder: Folder,
    token: Annotated[bool, typer.Option("--token", help="The token on standard input.")] = False,
    jti: Annotated[str | None, typer.Option(metavar="ID", help="The token with this `jti`.")] = None,
    session: Annotated[str | None, typer.Option(metavar="ID", help="All tokens of a session (`sid`).")] = None,
    user: Annotated[str | None, typer.Option(metavar="SUB", help="All tokens that a user has by now (`sub`).")] = None,
    client: Annotated[str | None, typer.Option(metavar="ID", help="All that a client has by now (`azp`).")] = None,
    realm: Annotated[bool, typer.Option("--realm", help="All that the provider has issued by now.")] = False,
    provider: Annotated[str | None, typer.Option(metavar="NAME", help="Whose tokens, if there are several.")] = None,
    before: Annotated[
        str | None, typer.Option(metavar="TIME", help="Issued until then, not now, as 2026-12-31T18:00Z.")
    ] = None,
    time: Annotated[
        str | None, typer.Option("--for", metavar="TIME", help="How long it holds, as 2h or 30d; for good.")
    ] = None,
    reason: Annotated[str | None, typer.Option(metavar="TEXT", help="Why, for the list.")] = None,
    admin: Admin = None,
    output: Output = Format.TEXT,
) -> None:
    """Revoke a token, a session, or all that a user, a client or the realm was given until now."""
    named = {"jti": jti, "session": session, "user": user, "client": client}
    given = {name: value for name, value in named.items() if value is not None}
    if len(given) + token + realm != 1:
        raise typer.BadParameter("say what: one of --token --jti --session --user --client --realm")
    members: dict[str, Any] = {**given, "by": getpass.getuser()}
    members |= {"token": sys.stdin.read().strip()} if token else {"realm": True} if realm else {}
    members |= {"seconds": seconds(time)} if time is not None else {}
    more = {"provider": provider, "before": before, "reason": reason}
    members |= {name: value for name, value in more.items() if value is not None}
    row = _answer("revoke", folder, admin, "POST", "/revocations", members)
    _show(row, output, "revoked")


@app.command(epilog="Example:  gateway tokens ls plans/")
def ls(folder: Folder, admin: Admin = None, output: Output = Format.TEXT) -> None:
    """List what is revoked, the latest first."""
    rows = _answer("ls", folder, admin, "GET", "/revocations")["revocations"]
    if output is Format.JSON:
        print_json(rows)
    elif rows:
        names = ("id", "what", "name", "issuer", "before", "since", "until", "reason")
        print(table(names, [tuple(row[name] or "" for name in names) for row in rows]))
    else:
        tell("nothing is revoked")


@app.command(epilog="Example:  gateway tokens restore plans/ 3f0c1d2ab4ce58cf")
def restore(
    folder: Folder,
    revocation: Annotated[str, typer.Argument(metavar="ID", help="A revocation's, as ls shows it.")],
    admin: Admin = None,
    output: Output = Format.TEXT,
) -> None:
    """Take a revocation back: what it was for is good again until it expires."""
    path = f"/revocations/{quote(revocation, safe='')}?by={quote(getpass.getuser(), safe='')}"
    _show(_answer("restore", folder, admin, "DELETE", path), output, "restored")


def _answer(
    verb: str, folder: Any, admin: str | None, method: str, path: str, members: dict[str, Any] | None = None
) -> Any:
    status, answer = ask(f"tokens {verb}", folder, admin, method, path, members)
    if status != 200:
        tell(f"gateway tokens {verb}: {answer.get('detail', answer['title'])}")
        raise typer.Exit(1)
    return answer


def _show(row: dict[str, Any], output: Format, done: str) -> None:
    if output is Format.JSON:
        print_json(row)
        return
    what = f"{row['what']} {row['name']}".rstrip()
    before = f", issued until {row['before']}" if row["before"] else ""
    until = f", until {row['until']}" if row["until"] else ""
    print(f"{row['id']}  {what}{before}{until}: {done}")
