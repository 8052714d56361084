"""`gateway doctor`: what is around a gateway, looked at before users do."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.output import Format, Output, count, print_json, tell
from gateway.cli.plans import Folder, read

if TYPE_CHECKING:
    from gateway.doctor.finding import Finding
    from gateway.doctor.providers import Client
    from gateway.model import Config


def doctor(
    folder: Folder,
    targets: Annotated[bool, typer.Option("--targets", help="Also connect to the targets of services.")] = False,
    client: Annotated[
        str | None, typer.Option("--client", metavar="ID", help="Also try a token of this client of a provider.")
    ] = None,
    provider: Annotated[
        str | None, typer.Option("--provider", metavar="NAME", help="Which provider, if there are several.")
    ] = None,
    output: Output = Format.TEXT,
) -> None:
    """Check what a gateway with the plans in DIR needs: its store, files, providers and, if asked, its services.

    With --client a token is fetched by client credentials, its secret read from stdin, and checked as a request's is.

    Each line says what is well, what may not always be (warning) and what is not (problem), with what to change. The
    exit code is 1 where there is a problem. Nothing is changed: the store's scripts are tried on keys of their own,
    which are then deleted. Run it on the gateway's machine, as its user.
    """
    config = read(folder)
    tried = _client(client, provider)
    findings = asyncio.run(_findings(config, targets, tried, show=output is Format.TEXT))
    if output is Format.JSON:
        print_json([finding._asdict() for finding in findings])
    numbers = {level: sum(finding.level == level for finding in findings) for level in ("problem", "warning")}
    told = [count(number, level) for level, number in numbers.items() if number]
    if output is Format.TEXT:
        tell(f"{folder}: {', '.join(told) or 'all is well'}")
    if numbers["problem"]:
        raise typer.Exit(1)


def _client(name: str | None, provider: str | None) -> Client | None:
    from gateway.doctor.providers import Client
    from gateway.model import ClientCredentials

    if name is None:
        return None
    return Client(ClientCredentials(client_id=name, client_secret=sys.stdin.readline().strip()), provider)


async def _findings(config: Config, targets: bool, client: Client | None, *, show: bool) -> list[Finding]:
    """Shown as they come: a store that is away takes a while."""
    from gateway.doctor.examine import examine

    findings: list[Finding] = []
    async for finding in examine(config, and_targets=targets, client=client):
        findings.append(finding)
        if show:
            print(f"{finding.level:8} {finding.about}: {finding.text}", flush=True)
    return findings
