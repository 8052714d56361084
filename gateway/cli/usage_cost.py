"""`gateway usage cost`: what a month's use costs, by the prices of the plans."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import aclosing
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.output import Format, Output, print_json, table
from gateway.cli.plans import Folder, read
from gateway.cli.usage import census, run
from gateway.cli.usage_changes import app

if TYPE_CHECKING:
    from gateway.model import Config
    from gateway.quota.cost import Bill

__all__ = ["app"]


@app.command(epilog="Example:  gateway usage cost plans/ mobile --month 2026-11 -o json")
def cost(
    folder: Folder,
    application: Annotated[str | None, typer.Argument(metavar="APPLICATION", help="Or account:NAME.")] = None,
    month: Annotated[str | None, typer.Option("--month", metavar="YYYY-MM", help="This month if left out.")] = None,
    output: Output = Format.TEXT,
) -> None:
    """Show what a month's use costs, of each application whose plans have `pricing`, exactly, to four decimals.

    By what the store of DIR has counted; it keeps months for two months. The setup price is in the month in which the
    application's `valid.from` is; an application with a `trial` pays nothing.
    """
    from gateway.quota.cost import window_of, written

    config = read(folder)
    if month is not None:
        try:
            window_of(month, "UTC")
        except ValueError:
            raise typer.BadParameter(f"'{month}' is not a month such as 2026-11", param_hint="--month") from None
    found = run(_bills(config, month, application))
    if output is Format.JSON:
        print_json([bill.told() for bill in found])
        return
    heads = ("application", "plan", "month", "", "units", "cost", "currency")
    print(table(heads, [row for bill in found for row in _rows(bill, written)], right={4, 5}))


def _rows(bill: Bill, written: Callable[[Decimal], str]) -> Iterator[tuple[str, ...]]:
    who = bill.scope, bill.plan, bill.month
    for line in bill.lines:
        yield (*who, line.metric, str(line.units), written(line.cost), bill.currency)
    for what in ("monthly", "setup"):
        if getattr(bill, what):
            yield (*who, what, "", written(getattr(bill, what)), bill.currency)
    yield (*who, "total (trial)" if bill.trial else "total", "", written(bill.total), bill.currency)


async def _bills(config: Config, month: str | None, application: str | None) -> list[Bill]:
    from gateway.quota.cost import bills

    async with census(config) as (_, walk):
        month = month or f"{datetime.fromtimestamp(await walk.now(), UTC):%Y-%m}"
        async with aclosing(walk.counters()) as counters:
            return bills(config, [counter async for counter in counters], month, application)
