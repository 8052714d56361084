"""`gateway keys`: API keys, of which the configuration holds digests only."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.output import Format, Output, print_json, table, tell
from gateway.cli.plans import Folder, read

if TYPE_CHECKING:
    from gateway.model import ApiKey, Config

app = typer.Typer(help="Make API keys, and show whose they are.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """Make API keys, and show whose they are."""


def name(value: str | None) -> str | None:
    """An application's name; raises a usage error."""
    if value is not None and not re.fullmatch(r"[a-z][a-z0-9_-]*", value):
        raise typer.BadParameter(f"'{value}' is not a name ([a-z][a-z0-9_-]*)")
    return value


def tag(value: str) -> str:
    """A key's tag; raises a usage error."""
    if not re.fullmatch(r"[a-z0-9]{0,16}", value):
        raise typer.BadParameter(f"'{value}' is not a tag (at most 16 of a-z and 0-9)")
    return value


def end(value: str | None) -> str | None:
    """A moment as the plans take it: as it is, or so many days from now; raises a usage error."""
    from gateway.config.blocks.moments import WHAT, moment

    if value is None:
        return None
    try:
        if days := re.fullmatch(r"([1-9][0-9]{0,3})d", value):
            return written(time.time() + int(days[1]) * 86400)
        ends = moment(value)
    except ValueError:
        raise typer.BadParameter(f"'{value}' is not {WHAT}, or a number of days such as 90d") from None
    if ends <= time.time():
        raise typer.BadParameter(f"'{value}' is in the past")
    return value


def written(moment: float) -> str:
    """Unix seconds as the plans write them."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%MZ")


Application = Annotated[
    str | None, typer.Option("--application", "-a", metavar="NAME", callback=name, help="Whose key it is.")
]


@app.command(epilog="Example:  gateway keys create -a mobile --name ci --expires 90d > mobile.key")
def create(
    application: Application = None,
    label: Annotated[str | None, typer.Option("--name", metavar="TEXT", help="What people call the key.")] = None,
    expires: Annotated[
        str | None, typer.Option(metavar="WHEN", callback=end, help="2026-12-31, a time with its offset, or 90d.")
    ] = None,
    kind: Annotated[
        str, typer.Option("--tag", metavar="TAG", callback=tag, help="A word in the key, such as test: gwk_test_….")
    ] = "",
    output: Output = Format.TEXT,
) -> None:
    """Make a key. It goes to stdout, once; the plans get its digest, in the line shown on stderr."""
    from gateway.identity import api_keys

    new = api_keys.create(kind)
    if output is Format.JSON:
        made = {"application": application, "key": new.key, "digest": new.digest, "name": label, "expires": expires}
        print_json(made)
        return
    print(new.key, flush=True)
    tell(
        "This key is shown only now: give it to its owner. The line for the plans:",
        "",
        "applications:",
        f"  {application or 'NAME'}:",
        f"    api_keys: [{line(new.digest, label, expires)}]",
    )


def line(digest: str, label: str | None, expires: str | None) -> str:
    """A key as the plans write it."""
    import json

    if label is None and expires is None:
        return f'"{digest}"'
    more = [f"name: {json.dumps(label, ensure_ascii=False)}"] if label is not None else []
    more += [f"expires: {expires}"] if expires is not None else []
    return f'{{key: "{digest}", {", ".join(more)}}}'


@app.command(epilog="Example:  gateway keys ls plans/ -a mobile")
def ls(folder: Folder, application: Application = None, output: Output = Format.TEXT) -> None:
    """Show the keys of DIR: whose they are, what people call them, until when and for whom they serve. Never a key."""
    config = read(folder)
    rows = [row for row in rows_of(config, time.time()) if application in (None, row["application"])]
    if output is Format.JSON:
        print_json(rows)
        return
    heads = ("application", "key", "name", "state", "expires", "only for")
    print(table(heads, [_cells(row) for row in rows]))


def rows_of(config: Config, now: float) -> list[dict[str, object]]:
    """Each key of each application."""
    return [
        {
            "application": application.name,
            "kind": kind,
            "digest": key.digest,
            "name": key.name,
            "state": _state(key, now),
            "expires": None if key.expires is None else written(key.expires),
            "addresses": [str(network) for network in key.addresses],
            "referrers": list(key.referrers),
        }
        for application in config.applications.values()
        for kind, keys in (("api_key", application.api_keys), ("app_key", application.app_keys))
        for key in keys
    ]


def _state(key: ApiKey, now: float) -> str:
    return "expired" if key.expires is not None and now >= key.expires else "valid"


def _cells(row: dict[str, object]) -> tuple[str, ...]:
    only = ", ".join((*row["addresses"], *row["referrers"]))  # type: ignore[misc]
    return (
        str(row["application"]),
        f"{str(row['digest'])[:19]}…",
        str(row["name"] or ""),
        str(row["state"]),
        str(row["expires"] or "never"),
        only,
    )
