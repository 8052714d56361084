"""`gateway keys`: API keys, of which the configuration holds digests only."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from typing import Annotated

import typer

from gateway.cli.key_choice import cells, digest_of, held, known, order, rows_of, told, written
from gateway.cli.listener import Admin
from gateway.cli.output import Format, Output, print_json, table, tell
from gateway.cli.plans import Folder, read

app = typer.Typer(help="Make API keys, replace and revoke them, show whose they are.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """Make API keys, replace and revoke them, show whose they are."""


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


def networks(value: list[str] | None) -> list[str] | None:
    """Networks as the plans take them; raises a usage error."""
    from ipaddress import ip_network

    for one in value or ():
        try:
            ip_network(one)
        except ValueError as error:
            raise typer.BadParameter(f"'{one}' is no network such as 10.0.0.0/8: {error}") from None
    return value


def pages(value: list[str] | None) -> list[str] | None:
    """Referrers as the plans take them; raises a usage error."""
    from gateway.config.blocks.keys import REFERRER, referrer

    for one in value or ():
        try:
            referrer(one)
        except ValueError:
            raise typer.BadParameter(f"'{one}' is not {REFERRER}") from None
    return value


def span(value: str) -> float:
    """Seconds; raises a usage error."""
    found = re.fullmatch(r"([0-9]{1,6})([smhd])", value)
    if found is None:
        raise typer.BadParameter(f"'{value}' is not a time such as 90m, 24h or 7d")
    return int(found[1]) * {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}[found[2]]


Which = Annotated[
    str,
    typer.Argument(
        metavar="KEY",
        help="Its name, or its digest or the beginning of that; - to read the key from stdin; or a certificate's file.",
    ),
]
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
    address: Annotated[
        list[str] | None,
        typer.Option(metavar="CIDR", callback=networks, help="Only for clients there; may be given again."),
    ] = None,
    referrer: Annotated[
        list[str] | None,
        typer.Option(metavar="PAGE", callback=pages, help="Only for these pages (https://*.example.com); again."),
    ] = None,
    output: Output = Format.TEXT,
) -> None:
    """Make a key. It goes to stdout, once; the plans get its digest, in the line shown on stderr."""
    from gateway.identity import api_keys

    new = api_keys.create(kind)
    if output is Format.JSON:
        made = {"application": application, "key": new.key, "digest": new.digest, "name": label, "expires": expires}
        print_json({**made, "addresses": address or [], "referrers": referrer or []})
        return
    print(new.key, flush=True)
    tell(
        "This key is shown only now: give it to its owner. The line for the plans:",
        "",
        "applications:",
        f"  {application or 'NAME'}:",
        f"    api_keys: [{line(new.digest, label, expires, address or (), referrer or ())}]",
    )


def line(
    digest: str, label: str | None, expires: str | None, addresses: Sequence[str] = (), referrers: Sequence[str] = ()
) -> str:
    """A key as the plans write it."""
    import json

    more = [f"name: {json.dumps(label, ensure_ascii=False)}"] if label is not None else []
    more += [f"expires: {expires}"] if expires is not None else []
    more += [f"addresses: {json.dumps(addresses)}"] if addresses else []
    more += [f"referrers: {json.dumps(referrers, ensure_ascii=False)}"] if referrers else []
    return f'{{key: "{digest}", {", ".join(more)}}}' if more else f'"{digest}"'


@app.command(epilog="Example:  gateway keys ls plans/ -a mobile")
def ls(folder: Folder, application: Application = None, admin: Admin = None, output: Output = Format.TEXT) -> None:
    """Show the keys of DIR: whose they are, what people call them, until when and for whom they serve. Never a key.

    What was revoked, and when keys were last used, the gateway on this machine tells.
    """
    config = read(folder)
    told_of = known("keys ls", folder, admin)
    rows = [row for row in rows_of(config, told_of, time.time()) if application in (None, row["application"])]
    if told_of is None:
        tell("so what was revoked, and when keys were used, is not shown")
    if output is Format.JSON:
        print_json(rows)
    else:
        heads = ("application", "key", "name", "state", "expires", "last used", "only for")
        print(table(heads, [cells(row) for row in rows]))


@app.command(
    epilog="Example:  gateway keys revoke plans/ ci -a mobile   or:  gateway keys revoke plans/ - < leaked.key"
)
def revoke(
    folder: Folder,
    key: Which,
    application: Application = None,
    admin: Admin = None,
    output: Output = Format.TEXT,
) -> None:
    """Refuse a key from now on, on all gateways of the store within a second, whatever the plans say.

    Take it out of the plans then. It stays revoked if it comes back into them, until it is restored.
    """
    digest = digest_of(read(folder), key, application)
    done = order("keys revoke", folder, admin, "revoke", {"digest": digest})["revoked"]
    told(f"{digest} is revoked", done, output)


@app.command(epilog="Example:  gateway keys restore plans/ ci -a mobile")
def restore(
    folder: Folder,
    key: Which,
    application: Application = None,
    admin: Admin = None,
    output: Output = Format.TEXT,
) -> None:
    """Let a revoked key serve again, as far as the plans have it."""
    digest = digest_of(read(folder), key, application)
    done = order("keys restore", folder, admin, "restore", {"digest": digest})
    told(f"{digest} {'serves again' if done['restored'] else 'was not revoked'}", done, output)


@app.command(epilog="Example:  gateway keys roll plans/ ci -a mobile --overlap 7d > mobile.key")
def roll(
    folder: Folder,
    key: Which,
    application: Application = None,
    overlap: Annotated[
        float, typer.Option(parser=span, metavar="TIME", help="How long the old key goes on: 90m, 24h, 7d.")
    ] = "24h",  # type: ignore[assignment]  # as it is written, for --help
    admin: Admin = None,
    output: Output = Format.TEXT,
) -> None:
    """Make a key in place of another, which is refused when the overlap is over, on all gateways.

    The new key goes to stdout, once; the plans get both lines, shown on stderr. It serves when they are reloaded: do so
    within the overlap.
    """
    from gateway.identity import api_keys

    owner, kind, old = held(read(folder), key, application)
    ends = time.time() + overlap
    order("keys roll", folder, admin, "revoke", {"digest": old.digest, "at": ends})
    new = api_keys.create()
    made = {"application": owner, "key": new.key, "digest": new.digest, "name": old.name}
    if output is Format.JSON:
        print_json({**made, "old": old.digest, "old_ends": written(ends)})
        return
    only = [str(network) for network in old.addresses], list(old.referrers)
    print(new.key, flush=True)
    tell(
        f"The old key is refused from {written(ends)} on. The new one is shown only now: give it to its owner.",
        "The lines for the plans, to be reloaded before that:",
        "",
        "applications:",
        f"  {owner}:",
        f"    {kind}s:",
        f"      - {line(new.digest, old.name, None, *only)}",
        f"      - {line(old.digest, old.name, written(ends), *only)}",
    )
