"""`gateway clients`: applications' clients at Keycloak, kept as the plans say."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TypeVar

import typer

from gateway.cli.output import Format, Output, count, print_json, table, tell
from gateway.cli.plans import Folder, read

if TYPE_CHECKING:
    from gateway.clients.compare import Action
    from gateway.clients.keycloak import Clients
    from gateway.clients.sync import Done
    from gateway.model import Config, Oidc

T = TypeVar("T")

app = typer.Typer(help="Keep applications' clients at Keycloak as the plans say.", no_args_is_help=True)

Provider = Annotated[str | None, typer.Option("--provider", metavar="NAME", help="Which, if there are several.")]
Adopt = Annotated[bool, typer.Option("--adopt", help="Take over clients that others made.")]
Prune = Annotated[bool, typer.Option("--prune", help="Delete, not disable, own clients that the plans do not name.")]


@app.callback()
def group() -> None:
    """Keep applications' clients at Keycloak as the plans say."""


@app.command(epilog="Example:  gateway clients diff plans/")
def diff(
    folder: Folder, provider: Provider = None, adopt: Adopt = False, prune: Prune = False, output: Output = Format.TEXT
) -> None:
    """Show what `sync` would do, and what differs and is not its to change. The exit code is 2 where something does."""
    config = read(folder)
    actions = _with(config, provider, lambda clients, oidc: _compared(config, clients, oidc, adopt, prune))
    rows = [_row(action) for action in actions]
    if output is Format.JSON:
        print_json(rows)
    elif rows:
        print(table(("client", "application", "to do", "why"), [tuple(row.values()) for row in rows]))
    else:
        print("all clients are as the plans say")
    if rows:
        raise typer.Exit(2)


@app.command(epilog="Example:  gateway clients sync plans/")
def sync(
    folder: Folder,
    provider: Provider = None,
    adopt: Adopt = False,
    prune: Prune = False,
    secrets: Annotated[bool, typer.Option("--secrets", help="Show the secrets of clients that are made.")] = False,
    output: Output = Format.TEXT,
) -> None:
    """Make the clients of applications that have none, with the gateway in their tokens' audience; disable those whose
    application is not served, and enable them again.

    Clients that others made stay as they are, unless --adopt. Done twice it changes nothing more. The exit code is 1
    where something could not be done.
    """
    config = read(folder)

    async def work(clients: Clients, oidc: Oidc) -> list[Done]:
        from gateway.clients.sync import sync as synchronise

        actions = await _compared(config, clients, oidc, adopt, prune)
        return [done async for done in synchronise(clients, actions, oidc.audience[0])]

    tried = _with(config, provider, work)
    rows = [_row(done.action) | _came_of(done, secrets) for done in tried]
    if output is Format.JSON:
        print_json(rows)
    elif rows:
        heads = ("client", "application", "done", "why", "result", *(["secret"] if secrets else []))
        print(table(heads, [tuple(map(str, row.values())) for row in rows]))
    failed = sum(done.failure is not None for done in tried)
    tell(f"{count(len(rows) - failed, 'change')}" + (f", {failed} failed" if failed else ""))
    if failed:
        raise typer.Exit(1)


def _row(action: Action) -> dict[str, Any]:
    return {
        "client": action.client_id,
        "application": action.application,
        "what": action.what.value,
        "why": action.why,
    }


def _came_of(done: Done, secrets: bool) -> dict[str, Any]:
    return {"result": done.failure or "ok", **({"secret": done.secret or ""} if secrets else {})}


async def _compared(config: Config, clients: Clients, oidc: Oidc, adopt: bool, prune: bool) -> list[Action]:
    from gateway.clients.compare import compare, not_enabled, wanted
    from gateway.clients.suspended import suspended_in_store
    from gateway.store import StoreError

    try:
        suspended = await suspended_in_store(config)
    except StoreError as error:
        tell(f"gateway clients: {error}; as nobody knows who is suspended, no client is enabled")
        suspended = None
    want = wanted(config, time.time(), suspended or ())
    actions = compare(want, await clients.all(), oidc.audience[0], adopt=adopt, prune=prune)
    return actions if suspended is not None else [not_enabled(action) for action in actions]


def _with(config: Config, provider: str | None, work: Callable[[Clients, Oidc], Awaitable[T]]) -> T:
    """What `work` makes of the provider's clients; where it cannot be asked, says why and exits 1."""
    from gateway.clients.keycloak import Away, Refused

    async def run() -> T:
        from gateway.clients.keycloak import Clients

        oidc = _chosen(config, provider)
        assert oidc.clients is not None
        clients = Clients(oidc, oidc.clients)
        try:
            return await work(clients, oidc)
        finally:
            await clients.aclose()

    try:
        return asyncio.run(run())
    except (Refused, Away, ValueError) as error:
        tell(f"gateway clients: {error}")
        raise typer.Exit(1) from None


def _chosen(config: Config, provider: str | None) -> Oidc:
    able = {name: oidc for name, oidc in config.providers.items() if oidc.clients is not None}
    if provider is not None and provider in able:
        return able[provider]
    if provider is None and len(able) == 1:
        return next(iter(able.values()))
    return _refuse("say which provider" if able else "no provider of these plans has `clients`", able)


def _refuse(text: str, able: dict[str, Oidc]) -> NoReturn:
    raise typer.BadParameter(f"{text} ({' '.join(able) or 'none'})", param_hint="--provider")
