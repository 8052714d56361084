"""`gateway diff`: what a change of the plans does, told before. Exit codes: 0 same, 1 failed, 2 different."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import replace
from os.path import relpath
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

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


def folder(name: str) -> Any:
    return typer.Argument(metavar=name, exists=True, file_okay=False)


def diff(
    before: Annotated[Path, folder("DIR_A")],
    after: Annotated[Path, folder("DIR_B")],
    usage: Annotated[
        bool, typer.Option("--usage", help="Also ask the store of DIR_B who is over a new limit at once.")
    ] = False,
    output: Output = Format.TEXT,
    json: Annotated[bool, typer.Option("--json", help="The same as -o json.")] = False,
) -> None:
    """Show what the change from the plans in DIR_A to those in DIR_B does, and to which applications.

    Told are endpoints, limits, plans, states and credentials by application, changed services, and which counters
    start anew. The exit code is 0 where both mean the same, 2 where they differ, and 1 where it cannot be said.
    """
    from gateway.diff.compare import compare
    from gateway.diff.plain import portable
    from gateway.diff.text import document, text

    old, new = read(before), read(after)
    if relpath(old.data, before) == relpath(new.data, after):
        new = replace(new, data=old.data)
    difference = compare(portable(old), portable(new))
    over = over_now(old, new) if usage else None
    if json or output is Format.JSON:
        print_json(document(difference, over))
    elif difference or over:
        print(text(difference, over))
    else:
        tell(f"{before} and {after} mean the same")
    if difference:
        raise typer.Exit(DIFFERENT)


def over_now(before: Config, after: Config) -> list[Over]:
    """By the store that `after` names; where it cannot be asked, says why and exits 1."""
    from gateway.diff.over import over_at_once
    from gateway.quota.census import Census
    from gateway.store import StoreError
    from gateway.store.visit import visiting

    async def look() -> list[Over]:
        async with visiting(after.store, after.data) as servers:
            census = Census(servers, after.store.prefix)
            now = await census.now()
            async with aclosing(census.counters()) as counters:
                return over_at_once(before, after, [counter async for counter in counters], now)

    try:
        return asyncio.run(look())
    except StoreError as error:
        tell(f"gateway: {error}")
        raise typer.Exit(1) from None
