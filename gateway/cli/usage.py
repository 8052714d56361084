"""`gateway usage`: what is spent of the limits, changes of it, a back-up of it, and putting that back."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any, TypeVar

import typer
from typer.core import TyperGroup

from gateway.cli.output import Format, Output, count, print_json, table, tell
from gateway.cli.plans import Folder, read

if TYPE_CHECKING:
    from gateway.model import Config
    from gateway.quota.census import Census
    from gateway.quota.report import Usage
    from gateway.store.topology import Topology

T = TypeVar("T")


class Group(TyperGroup):
    """`gateway usage DIR …` is short for `gateway usage show DIR …`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        short = bool(args) and args[0] not in self.commands and Path(args[0]).is_dir()
        return super().parse_args(ctx, ["show", *args] if short else args)


app = typer.Typer(cls=Group, help="Show usage, change it, back it up, put it back.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """Show usage, change it, back it up, put it back."""


@app.command(epilog="Example:  gateway usage show plans/ mobile")
def show(
    folder: Folder,
    application: Annotated[
        str | None,
        typer.Argument(metavar="APPLICATION", help="Only this one, or account:NAME, user:APPLICATION/SUBJECT."),
    ] = None,
    output: Output = Format.TEXT,
) -> None:
    """Show what is spent of each limit in its window now. Gateways report what they let in within a second."""
    config = read(folder)
    if application is not None and application not in config.applications:
        _require_scope(config, application)
    rows = run(_usage(config, application or ""))
    if output is Format.JSON:
        print_json([{**row._asdict(), "percent": row.percent, "resets_at": _time(row)} for row in rows])
    else:
        heads = ("application", "plan", "metric", "period", "limit", "spent", "", "resets at")
        print(table(heads, [_cells(row) for row in rows], right={4, 5, 6}))


@app.command(epilog="Example:  gateway usage export plans/ --output usage.jsonl")
def export(
    folder: Folder,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", dir_okay=False, help="Where to; stdout if not given."),
    ] = None,
) -> None:
    """Write all counters of the store of DIR as JSON lines. Gateways go on meanwhile, and are not held up.

    Each counter is written as it is at some moment of the walk. FILE appears when it is complete, readable by you
    alone; a file or stream that is cut off is refused by the import. It holds names of applications and users.
    """
    config = read(folder)
    with _written(output) as out:
        counters, strange = run(_export(config, out))
    tell(f"{count(counters, 'counter')} exported")
    if strange:
        tell(f"left out: {count(len(strange), 'key')} that no gateway of this version counts in, such as {strange[0]}")


@app.command("import", epilog="Example:  gateway usage import plans/ usage.jsonl")
def import_(
    folder: Folder,
    file: Annotated[typer.FileBinaryRead, typer.Argument(metavar="FILE", help="What export wrote; - for stdin.")],
    replace: Annotated[
        bool, typer.Option("--replace", help="Set counters to what FILE says, also where the store has more.")
    ] = False,
    output: Output = Format.TEXT,
) -> None:
    """Put the counters of FILE, which `export` wrote, back into the store of DIR.

    Where the store has lost nothing since the export, its counters stay as they are. Where it has, they are FILE's and
    what was counted since the loss; importing twice adds nothing, and none becomes lower. --replace sets counters to
    FILE's whatever the store has, and so gives back what was used since.

    Gateways may run meanwhile: units that they hold stay held. Counters that FILE does not have stay, an alert that was
    raised is not raised again, and windows that have ended are left out. All counters of an application (or of one of
    its clients) change in one step. A file with any fault is refused as a whole.
    """
    config = read(folder)
    done = run(_import(config, file, replace))
    if output is Format.JSON:
        print_json(done)
    else:
        left = done["counters"] - done["changed"] - done["ended"]
        print(f"{count(done['changed'], 'counter')} changed, {left} left as they are, {done['ended']} of ended windows")


def run(work: Coroutine[Any, Any, T]) -> T:
    """Its result; where the store or the file cannot be used, says why and exits 1."""
    from gateway.quota.backup import BackupError
    from gateway.store import StoreError

    try:
        return asyncio.run(work)
    except (StoreError, BackupError) as error:
        tell(f"gateway: {error}")
        raise typer.Exit(1) from None


# --- at the store


@asynccontextmanager
async def census(config: Config, tags: str = "*", *, create: bool = False) -> AsyncIterator[tuple[Topology, Census]]:
    from gateway.quota.census import Census
    from gateway.store.visit import visiting

    async with visiting(config.store, config.data, create=create) as servers:
        yield servers, Census(servers, config.store.prefix, tags)


def _require_scope(config: Config, scope: str) -> None:
    from gateway.quota.owners import UnknownError, limits_in

    try:
        limits_in(config, scope)
    except UnknownError as error:
        text = f"{error} (an application of these plans, or as account:NAME, user:APPLICATION/SUBJECT)"
        raise typer.BadParameter(text, param_hint="APPLICATION") from None


async def _usage(config: Config, application: str) -> list[Usage]:
    from gateway.quota.report import tags_of, usage
    from gateway.store import keys

    app = config.applications.get(application)
    tags = "*" if not application else keys.tag(application) if app is None else tags_of(app)
    async with census(config, tags) as (_, walk):
        now = await walk.now()
        async with aclosing(walk.counters()) as counters:
            return usage(config, [counter async for counter in counters], now, application)


async def _export(config: Config, out: IO[str]) -> tuple[int, list[str]]:
    """How many counters were written, and keys that are none."""
    from gateway.quota.backup import Header, Saved, end_line, header_line, line, window_of

    written, store = 0, config.store
    async with census(config) as (_, walk):
        header = Header(store.prefix, await walk.now(), tuple(await walk.epochs()))
        print(header_line(header), file=out)
        async with aclosing(walk.counters()) as counters:
            async for name, units in counters:
                here = window_of(name)
                if here is None:
                    walk.rubbish.append(name.key(store.prefix))
                    continue
                saved = Saved(name, here, units.spent, units.topped, units.raised, units.epoch, units.version)
                print(line(saved), file=out)
                written += 1
    print(end_line(written), file=out)
    return written, walk.rubbish


async def _import(config: Config, file: IO[bytes], replace: bool) -> dict[str, int]:
    from gateway.quota.backup import BackupError, read
    from gateway.quota.restore import Restorer, select

    store = config.store
    async with census(config, create=True) as (servers, walk):
        try:
            selected = select(read(file), await walk.now())
        except BackupError as error:
            raise BackupError(f"{file.name}: {error}; nothing was changed") from None
        restorer = Restorer(
            servers,
            prefix=store.prefix,
            fence=store.fence,
            durable=store.kind == "embedded",
            replicas=store.replicas,
            replace=replace,
            on_wait=lambda seconds: tell(
                f"the store is new or may have lost data: {seconds:.1f} s for what gateways remember"
            ),
        )
        changed = await restorer.restore(selected.scopes)
    return {"counters": selected.all, "changed": changed, "ended": selected.ended}


# --- files and tables


@contextmanager
def _written(path: Path | None) -> Iterator[IO[str]]:
    """stdout, or a file that takes its name when it is complete."""
    if path is None:
        yield sys.stdout
        sys.stdout.flush()
        return
    with tempfile.NamedTemporaryFile("w", dir=path.absolute().parent, prefix=f".{path.name}.", delete=False) as out:
        try:
            yield out
            out.flush()
            os.fsync(out.fileno())
            Path(out.name).replace(path)
        except BaseException:
            Path(out.name).unlink()
            raise


def _cells(row: Usage) -> tuple[str, ...]:
    percent = "" if row.percent is None else f"{row.percent} %"
    return (row.scope, row.plan, row.metric, row.period, str(row.limit), str(row.spent), percent, _time(row) or "never")


def _time(row: Usage) -> str | None:
    from gateway.quota.backup import written

    return None if row.resets_at is None else written(row.resets_at)
