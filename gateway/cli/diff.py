"""`gateway diff`: what a change of the plans does, told before. Exit codes: 0 same, 1 failed, 2 different."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import replace
from os.path import relpath
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

import typer
from typer.core import TyperCommand

from gateway.cli.listener import fetch
from gateway.cli.output import Format, Output, print_json, tell
from gateway.cli.plans import read

if TYPE_CHECKING:
    from gateway.diff.difference import Over
    from gateway.model import Config

DIFFERENT = 2


class Diff(TyperCommand):
    """Wrong usage is 1 here, since 2 has a meaning."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """See TyperCommand."""
        try:
            return super().parse_args(ctx, args)
        except Exception as error:
            if getattr(error, "exit_code", 0) == DIFFERENT:
                error.exit_code = 1  # type: ignore[attr-defined]
            raise


class Side(str):
    """A folder of plans, or the URL of a running gateway's admin listener."""

    __slots__ = ()

    @property
    def runs(self) -> bool:
        """Whether it is a running gateway."""
        return "://" in self


def side(text: str) -> Side:
    """Raises a usage error."""
    given, url = Side(text), urlsplit(text)
    if given.runs and (url.scheme != "http" or not url.port or url.path not in ("", "/")):
        raise typer.BadParameter(f"'{text}' is not the URL of an admin listener, as http://127.0.0.1:8081")
    if not given.runs and not Path(text).is_dir():
        raise typer.BadParameter(f"there is no folder '{text}'")
    return given


def named(name: str) -> Any:
    return typer.Argument(metavar=name, parser=side, help="A folder of plans, or a running gateway's admin listener.")


def diff(
    before: Annotated[Side, named("DIR_A|URL")],
    after: Annotated[Side, named("DIR_B|URL")],
    usage: Annotated[
        bool, typer.Option("--usage", help="Also ask the store of DIR_B who is over a new limit at once.")
    ] = False,
    output: Output = Format.TEXT,
    json: Annotated[bool, typer.Option("--json", help="The same as -o json.")] = False,
) -> None:
    """Show what the change from the plans in DIR_A to those in DIR_B does, and to which applications.

    Told are endpoints, limits, plans, states and credentials by application, changed services, and which counters
    start anew. A URL (http://127.0.0.1:8081) stands for the plans that the gateway there serves, without secrets. The
    exit code is 0 where both mean the same, 2 where they differ, and 1 where it cannot be said.
    """
    from gateway.diff.compare import compare
    from gateway.diff.sides import comparable
    from gateway.diff.text import document, text

    old, new = plans_of(before), plans_of(after)
    if is_written_alike(before, old, after, new):
        new = replace(new, data=old.data)
    difference = compare(*comparable(old, new, told=before.runs or after.runs))
    over = over_now(old, new, old if after.runs else new) if usage else None
    if json or output is Format.JSON:
        print_json(document(difference, over))
    elif difference or over:
        print(text(difference, over))
    else:
        tell(f"{before} and {after} mean the same")
    if difference:
        raise typer.Exit(DIFFERENT)


def plans_of(side: Side) -> Config:
    """Where they cannot be had, says why and exits 1."""
    if not side.runs:
        return read(Path(side))
    from gateway.diff.sides import undeclared

    status, body = fetch("diff", Path(), urlsplit(side).netloc, "/configuration")
    try:
        if status != 200:
            raise ValueError(f"it answers {status}")
        return undeclared(body)
    except ValueError as error:
        tell(f"gateway diff: the gateway at {side} does not tell its plans: {error}")
        raise typer.Exit(1) from None


def is_written_alike(before: Side, old: Config, after: Side, new: Config) -> bool:
    """Whether `data` is no difference: a running gateway's is where its plans are."""
    return before.runs or after.runs or relpath(old.data, before) == relpath(new.data, after)


def over_now(before: Config, after: Config, asked: Config) -> list[Over]:
    """By the store that `asked` names; where it cannot be asked, says why and exits 1."""
    from gateway.diff.over import over_at_once
    from gateway.quota.census import Census
    from gateway.store import StoreError
    from gateway.store.visit import visiting

    async def look() -> list[Over]:
        async with visiting(asked.store, asked.data) as servers:
            census = Census(servers, asked.store.prefix)
            now = await census.now()
            async with aclosing(census.counters()) as counters:
                return over_at_once(before, after, [counter async for counter in counters], now)

    try:
        return asyncio.run(look())
    except StoreError as error:
        tell(f"gateway: {error}")
        raise typer.Exit(1) from None
